import fc from "fast-check";
import { expect, test } from "vitest";
import { normalCdf, normalMass, normalQuantile, truncatedQuantile } from "./normalQuantile.ts";

const relativeError = (found: number, expected: number) => Math.abs(found / expected - 1);

// mpmath, 60 digits: erfc(-x / sqrt(2)) / 2
test.each([
  [-37, 5.725571222524577e-300],
  [-20, 2.753624118606234e-89],
  [-8.25, 7.919726314642477e-17],
  [-5.7, 5.990371401063528e-9],
  [-5.6, 1.071759025831093e-8],
  [-4.65, 1.6596751443714612e-6],
  [-3, 0.0013498980316300946],
  [-1.5, 0.06680720126885807],
  [-0.68, 0.2482522304535705],
  [-0.67, 0.2514288950953101],
  [-0.1, 0.460172162722971],
  [0.3, 0.6179114221889526],
  [1, 0.841344746068543],
  [2.5, 0.993790334674224],
])("Phi(%d)", (x, p) => {
  expect(relativeError(normalCdf(x), p)).toBeLessThan(2e-15);
});

// mpmath, 60 digits: the root of ln(erfc(-x / sqrt(2)) / 2) = ln p
test.each([
  [1e-300, -37.0470962993612],
  [1e-100, -21.273453560965326],
  [1e-20, -9.262340089798409],
  [1.3887943864964021e-11, -6.657904643501104],
  [1e-9, -5.997807015007687],
  [1.646e-6, -4.651706121173238],
  [1e-3, -3.0902323061678136],
  [0.07, -1.4757910281791706],
  [0.075, -1.439531470938456],
  [0.1, -1.2815515655446004],
  [0.3, -0.5244005127080408],
  [0.49, -0.02506890825871106],
  [0.6, 0.2533471031357997],
  [0.9, 1.2815515655446006],
  [0.99, 2.326347874040841],
])("Phi^-1(%d)", (p, x) => {
  expect(relativeError(normalQuantile(p), x)).toBeLessThan(2e-15);
});

test("the ends of the quantile, and values outside", () => {
  expect(normalQuantile(0)).toBe(Number.NEGATIVE_INFINITY);
  expect(normalQuantile(1)).toBe(Number.POSITIVE_INFINITY);
  expect(normalQuantile(0.5)).toBe(0);
  for (const p of [-0.1, 1.1, Number.NaN]) expect(normalQuantile(p)).toBeNaN();
});

test("quantile and distribution function undo each other", () => {
  fc.assert(
    fc.property(fc.double({ min: -37, max: 0, noNaN: true }), (x) => {
      expect(normalQuantile(normalCdf(x))).toBeCloseTo(x, 12);
    }),
  );
});

test("the distribution function rises, and is symmetric", () => {
  const anX = fc.double({ min: -38, max: 38, noNaN: true });
  fc.assert(
    fc.property(anX, anX, (x, y) => {
      expect(normalCdf(Math.min(x, y))).toBeLessThanOrEqual(normalCdf(Math.max(x, y)));
      expect(normalCdf(x) + normalCdf(-x)).toBeCloseTo(1, 14);
    }),
  );
});

test("truncatedQuantile cuts off the asked share of the mass, in either tail", () => {
  const anX = fc.double({ min: -12, max: 12, noNaN: true });
  fc.assert(
    fc.property(
      anX,
      fc.double({ min: 0.01, max: 5, noNaN: true }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (a, width, share) => {
        const b = a + width;
        const x = truncatedQuantile(a, b, share);
        expect(relativeError(normalMass(a, x) / normalMass(a, b), share)).toBeLessThan(1e-9);
        expect(truncatedQuantile(-b, -a, 1 - share)).toBeCloseTo(-x, 9);
      },
    ),
  );
});
