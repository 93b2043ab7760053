/**
 * A number as people read it: whole numbers in full with separators up to a billion, others with four significant digits, very large and
 * very small ones in powers of ten.
 */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return minus(value.toLocaleString("en-US"));
  if (size >= 1e9 || size < 1e-4)
    return minus(
      value
        .toExponential(2)
        .replace(/\.?0+e/, "e")
        .replace("e+", "e"),
    );
  if (size >= 1000) return minus(value.toLocaleString("en-US", { maximumFractionDigits: 1 }));
  return minus(String(Number(value.toPrecision(4))));
}

const thousands = ["", "k", "M", "G", "T"];

/** A number at an axis, short: 1500000 is "1.5M". `step` is the distance of the ticks and decides the digits. */
export function formatTick(value: number, step: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e15) return minus(String(value.toExponential(1)).replace(".0e", "e").replace("e+", "e"));
  const scale = size < 1e4 ? 0 : Math.floor(Math.log10(size) / 3);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / 1000 ** scale) - 1e-9));
  return (
    minus(
      (value / 1000 ** scale)
        .toFixed(Math.min(digits, 12))
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, ""),
    ) + thousands[scale]!
  );
}

function minus(text: string): string {
  return text.replace(/^-/, "−");
}
