/** Symmetric matrices as flat float64 arrays [n · n]: what is asked of their eigenvalues, in loops that stay in the cache. */

/**
 * A lower triangular L with L Lᵀ = A, of a matrix without negative eigenvalues. Where a pivot is 0 but for rounding its column is 0.
 *
 * @param a [n · n], of which the lower half is read.
 */
export function choleskyOf(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  let largest = 0;
  for (let i = 0; i < n; i++) largest = Math.max(largest, a[i * n + i]!);
  const least = 1e-13 * largest;
  for (let i = 0; i < n; i++) {
    const row = i * n;
    for (let j = 0; j < i; j++) {
      const pivot = l[j * n + j]!;
      l[row + j] = pivot === 0 ? 0 : (a[row + j]! - dot(l, row, l, j * n, j)) / pivot;
    }
    const rest = a[row + i]! - dot(l, row, l, row, i);
    l[row + i] = rest > least ? Math.sqrt(rest) : 0;
  }
  return l;
}

/** Σ a[from + k] b[start + k] over k < count, four sums at a time. */
function dot(a: Float64Array, from: number, b: Float64Array, start: number, count: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    s0 += a[from + k]! * b[start + k]!;
    s1 += a[from + k + 1]! * b[start + k + 1]!;
    s2 += a[from + k + 2]! * b[start + k + 2]!;
    s3 += a[from + k + 3]! * b[start + k + 3]!;
  }
  for (; k < count; k++) s0 += a[from + k]! * b[start + k]!;
  return s0 + s1 + (s2 + s3);
}

/**
 * The Gram matrix of the rows of Kᵀ M for lower triangular K and M, [n · n]: its eigenvalues are those of (K Kᵀ)(M Mᵀ). The lower
 * half is filled.
 */
export function gramOfProduct(k: Float64Array, m: Float64Array, n: number): Float64Array {
  const product = new Float64Array(n * n); // row i: Σ over r ≥ i of k[r][i] m[r]
  const addRow = (i: number, r: number): void => {
    const [to, from, weight] = [i * n, r * n, k[r * n + i]!];
    for (let j = 0; j <= r; j++) product[to + j]! += weight * m[from + j]!;
  };
  const addFour = (i: number, r: number): void => {
    const [to, m0, m1, m2, m3] = [i * n, r * n, (r + 1) * n, (r + 2) * n, (r + 3) * n];
    const [a, b, c, d] = [k[m0 + i]!, k[m1 + i]!, k[m2 + i]!, k[m3 + i]!];
    for (let j = 0; j <= r + 3; j++) product[to + j]! += a * m[m0 + j]! + b * m[m1 + j]! + (c * m[m2 + j]! + d * m[m3 + j]!);
  };
  const rowsAtOnce = 32; // of m, which stay in the cache while all rows of the product take theirs
  for (let first = 0; first < n; first += rowsAtOnce) {
    const end = Math.min(n, first + rowsAtOnce);
    for (let i = 0; i < end; i++) {
      let r = Math.max(i, first);
      for (; r + 4 <= end; r += 4) addFour(i, r);
      for (; r < end; r++) addRow(i, r);
    }
  }
  const gram = new Float64Array(n * n);
  const tile = 32;
  for (let top = 0; top < n; top += tile) {
    for (let left = 0; left <= top; left += tile) {
      for (let i = top; i < Math.min(n, top + tile); i++)
        for (let j = left; j < Math.min(i + 1, left + tile); j++) gram[i * n + j] = dot(product, i * n, product, j * n, n);
    }
  }
  return gram;
}

/**
 * The eigenvalues of a symmetric matrix: Householder's tridiagonal form (as EISPACK's tred1), then the implicit QL algorithm (tql1).
 *
 * @param matrix [n · n], of which the lower half is read; it is overwritten.
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const vector = new Float64Array(n);
  const image = new Float64Array(n);
  // From the last row up: the row's part before the diagonal is reflected onto its last number.
  for (let i = n - 1; i > 0; i--) {
    const row = i * n;
    let norm = 0;
    for (let k = 0; k < i; k++) norm += matrix[row + k]! ** 2;
    diagonal[i] = matrix[row + i]!;
    const last = matrix[row + i - 1]!;
    const outside = norm - last ** 2;
    if (outside <= 1e-300) {
      beside[i] = last;
      continue;
    }
    const alpha = last > 0 ? -Math.sqrt(norm) : Math.sqrt(norm);
    beside[i] = alpha;
    for (let k = 0; k < i; k++) vector[k] = matrix[row + k]!;
    vector[i - 1]! -= alpha;
    const half = norm - alpha * last; // ‖v‖²/2
    // image = A v by the lower half alone.
    image.fill(0, 0, i);
    for (let r = 0; r < i; r++) {
      const [start, own] = [r * n, vector[r]!];
      let sum = 0;
      for (let c = 0; c < r; c++) {
        const value = matrix[start + c]!;
        sum += value * vector[c]!;
        image[c]! += value * own;
      }
      image[r]! += sum + matrix[start + r]! * own;
    }
    let along = 0;
    for (let k = 0; k < i; k++) {
      image[k]! /= half;
      along += image[k]! * vector[k]!;
    }
    along /= 2 * half;
    for (let k = 0; k < i; k++) image[k]! -= along * vector[k]!;
    for (let r = 0; r < i; r++) {
      const [start, v, w] = [r * n, vector[r]!, image[r]!];
      for (let c = 0; c <= r; c++) matrix[start + c]! -= v * image[c]! + w * vector[c]!;
    }
  }
  diagonal[0] = matrix[0]!;
  return tridiagonalEigenvalues(diagonal, beside.copyWithin(0, 1));
}

/** @param beside beside[i] lies between i and i + 1. Both are overwritten. */
function tridiagonalEigenvalues(diagonal: Float64Array, beside: Float64Array): Float64Array {
  const n = diagonal.length;
  if (n > 0) beside[n - 1] = 0;
  for (let low = 0; low < n; low++) {
    for (let round = 0; ; round++) {
      let high = low;
      while (high < n - 1) {
        const size = Math.abs(diagonal[high]!) + Math.abs(diagonal[high + 1]!);
        if (Math.abs(beside[high]!) <= Number.EPSILON * size) break;
        high++;
      }
      if (high === low) break;
      if (round === 60) throw new Error("internal: the QL algorithm does not converge");
      let g = (diagonal[low + 1]! - diagonal[low]!) / (2 * beside[low]!);
      let r = Math.hypot(g, 1);
      g = diagonal[high]! - diagonal[low]! + beside[low]! / (g + (g >= 0 ? r : -r));
      let [sine, cosine, shift] = [1, 1, 0];
      let i = high - 1;
      for (; i >= low; i--) {
        const f = sine * beside[i]!;
        const b = cosine * beside[i]!;
        r = Math.hypot(f, g);
        beside[i + 1] = r;
        if (r === 0) {
          diagonal[i + 1]! -= shift;
          beside[high] = 0;
          break;
        }
        sine = f / r;
        cosine = g / r;
        g = diagonal[i + 1]! - shift;
        r = (diagonal[i]! - g) * sine + 2 * cosine * b;
        shift = sine * r;
        diagonal[i + 1] = g + shift;
        g = cosine * r - b;
      }
      if (r === 0 && i >= low) continue;
      diagonal[low]! -= shift;
      beside[low] = g;
      beside[high] = 0;
    }
  }
  return diagonal;
}
