import { type Html, html } from "./html.ts";
import { formatNumber, formatTick } from "./number.ts";

export interface Series {
  readonly name: string;
  /** [x, y]; a y that is not finite leaves a gap. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Of each point, a third quantity that is at least 0: the area of its mark. */
  readonly sizes?: readonly number[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Logarithmic axes; values of 0 and below leave gaps. */
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** What the sizes of the marks are, with their unit: "memory, MB". */
  readonly sizeLabel?: string;
  readonly series: readonly Series[];
}

/** Number of colours in the style sheet of the page; later series repeat them, dashed. */
export const chartColours = 8;

const width = 560;
const height = 310;
const margin = { left: 48, right: 14, top: 32, bottom: 42 };
const plot = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
const largest = 1e300; // the span of two numbers is finite below it
const maxColumns = 256; // more points than that lie on the same pixels

/** Curves as inline SVG with a legend; the value of a point shows when the pointer rests on it. */
export function renderChart(chart: Chart): Html {
  const isDrawn = ([x, y]: readonly [number, number]): boolean =>
    Math.abs(x) < largest && Math.abs(y) < largest && (chart.logX !== true || x > 0) && (chart.logY !== true || y > 0);
  const drawn = chart.series.flatMap(({ points }) => points.filter(isDrawn));
  if (drawn.length === 0)
    return html`<figure class="chart"><figcaption>${chart.title}</figcaption><p class="empty">No data yet.</p></figure>`;

  const xExtent = extent(drawn.map(([value]) => value));
  if (xExtent[0] === xExtent[1]) return renderSingle(chart, xExtent[0], isDrawn);
  const x = chart.logX === true ? logAxis(xExtent) : linearAxis(xExtent, 6, false);
  const yExtent = extent(drawn.map(([, value]) => value));
  const y = chart.logY === true ? logAxis(yExtent) : linearAxis(yExtent, 5, true);
  const toX = (value: number): number => plot.left + x.place(value) * (plot.right - plot.left);
  const toY = (value: number): number => plot.bottom - y.place(value) * (plot.bottom - plot.top);

  const mostSize = Math.max(...chart.series.flatMap(({ sizes = [] }) => sizes));

  const xTicks = x.ticks.map(
    ({ value, text }) => html`<text x="${px(toX(value))}" y="${plot.bottom + 17}" text-anchor="middle">${text}</text>`,
  );
  const yTicks = y.ticks.map(
    ({ value, text }) =>
      html`<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${px(toY(value))}" y2="${px(toY(value))}"/><text x="${plot.left - 8}" y="${px(toY(value) + 4)}" text-anchor="end">${text}</text>`,
  );
  const curves = chart.series.map((series, index) => {
    const runs = splitAtGaps(series.points, isDrawn).map((run) => thinOut(run, maxColumns));
    const path = runs.map((run) => `M${run.map(([px_, py_]) => `${px(toX(px_))} ${px(toY(py_))}`).join("L")}`).join("");
    const shown = runs.flat();
    const areFew = shown.length <= 24;
    const marked = areFew ? shown : everyNth(shown, Math.ceil(shown.length / 64));
    const points = marked.map((point) => {
      const [ownX, ownY] = point;
      const size = series.sizes?.[series.points.indexOf(point)];
      const radius = size === undefined ? (areFew ? 3 : 4) : 3 + 9 * Math.sqrt(size / mostSize);
      const more = size === undefined ? "" : `\n${chart.sizeLabel}: ${formatNumber(size)}`;
      return html`<circle class="${areFew ? "point few" : "point"}" cx="${px(toX(ownX))}" cy="${px(toY(ownY))}" r="${px(radius)}"><title>${series.name}
${chart.xLabel}: ${formatNumber(ownX)}
${chart.yLabel}: ${formatNumber(ownY)}${more}</title></circle>`;
    });
    return html`<g class="${seriesClass(index)}"><path d="${path}"/>${points}</g>`;
  });
  const legend = chart.series.map((series, index) => {
    const last = series.points.filter(isDrawn).at(-1);
    return html`<li class="${seriesClass(index)}"><svg width="18" height="8" aria-hidden="true"><path d="M0 4L18 4"/></svg>${series.name} <b>${last === undefined ? "–" : formatNumber(last[1])}</b></li>`;
  });
  return html`<figure class="chart"><figcaption>${chart.title}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${chart.title}: ${chart.yLabel} against ${chart.xLabel}">
${yTicks}<line class="axis" x1="${plot.left}" x2="${plot.right}" y1="${plot.bottom}" y2="${plot.bottom}"/>${xTicks}
<text x="${(plot.left + plot.right) / 2}" y="${height - 6}" text-anchor="middle">${chart.xLabel}${chart.logX === true ? " (log scale)" : ""}</text>
<text x="0" y="12">${chart.yLabel}${chart.logY === true ? " (log scale)" : ""}</text>
${curves}</svg>
<ul class="legend">${legend}</ul></figure>`;
}

/** Values at one place make no curve: they are written out, in the place of dots on an axis that nobody measured. */
function renderSingle({ title, xLabel, yLabel, series }: Chart, x: number, isDrawn: (point: Point) => boolean): Html {
  const values = series.flatMap(({ name, points }) =>
    points.filter(isDrawn).map(([, y]) => html`<li>${name} <b>${formatNumber(y)}</b></li>`),
  );
  return html`<figure class="chart"><figcaption>${title}</figcaption><p class="empty">${yLabel}, at ${xLabel} ${formatNumber(x)} only</p>
<ul class="legend">${values}</ul></figure>`;
}

function seriesClass(index: number): string {
  return `s${index % chartColours}${index >= chartColours ? " dashed" : ""}`;
}

interface Axis {
  /** Where a value lies, from 0 to 1. */
  place(value: number): number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
}

/** @param isWidened lets the range end at ticks, so that curves do not touch the frame. */
function linearAxis([low, high]: readonly [number, number], count: number, isWidened: boolean): Axis {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const isFlat = high - low <= size * 1e-12 || size < 1e-300;
  const span = isFlat ? (size < 1e-300 ? 1 : size) : high - low;
  const [from, to] = isFlat ? [low - span / 2, high + span / 2] : [low, high];
  const step = niceStep(span / count);
  const start = isWidened ? Math.floor(from / step) * step : from;
  const end = isWidened ? Math.ceil(to / step) * step : to;
  const first = Math.ceil(start / step - 1e-9);
  const ticks = Array.from({ length: Math.floor(end / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
  return { place: (value) => (value - start) / (end - start), ticks: ticks.map((value) => ({ value, text: formatTick(value, step) })) };
}

function logAxis([low, high]: readonly [number, number]): Axis {
  const from = Math.log10(low) - (high > low ? 0 : 0.5);
  const to = Math.log10(high) + (high > low ? 0 : 0.5);
  const margins = (to - from) * 0.04;
  const [start, end] = [from - margins, to + margins];
  // A few decades have ticks at 1, 2 and 5; many have them at every n-th power only.
  const factors = end - start < 2.5 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil((end - start) / 6));
  const ticks: number[] = [];
  for (let power = Math.floor(start); power <= Math.ceil(end); power++) {
    if (power % stride === 0) ticks.push(...factors.map((factor) => factor * 10 ** power));
  }
  const inside = ticks.filter((value) => Math.log10(value) >= start && Math.log10(value) <= end);
  if (inside.length < 2) return { ...linearAxis([low, high], 4, false), place: (value) => (Math.log10(value) - start) / (end - start) };
  return {
    place: (value) => (Math.log10(value) - start) / (end - start),
    ticks: inside.map((value) => ({ value, text: formatTick(value, value) })),
  };
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].map((factor) => factor * power).find((nice) => nice >= step * (1 - 1e-9))!;
}

function extent(values: readonly number[]): readonly [number, number] {
  return values.reduce<readonly [number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
}

type Point = readonly [number, number];

function splitAtGaps(points: readonly Point[], isDrawn: (point: Point) => boolean): Point[][] {
  const runs: Point[][] = [];
  let run: Point[] = [];
  for (const point of points) {
    if (isDrawn(point)) {
      if (run.length === 0) runs.push(run);
      run.push(point);
    } else run = [];
  }
  return runs;
}

/** Of many points, the lowest and the highest of each column in their order: the curve's outline, peaks included. */
function thinOut(points: readonly Point[], columns: number): readonly Point[] {
  if (points.length <= 2 * columns) return points;
  const kept: Point[] = [points[0]!];
  for (let column = 0; column < columns; column++) {
    const part = points.slice(Math.floor((column * points.length) / columns), Math.floor(((column + 1) * points.length) / columns));
    const lowest = part.reduce((best, point) => (point[1] < best[1] ? point : best));
    const highest = part.reduce((best, point) => (point[1] > best[1] ? point : best));
    kept.push(...(lowest[0] <= highest[0] ? [lowest, highest] : [highest, lowest]));
  }
  kept.push(points.at(-1)!);
  return kept;
}

function everyNth(points: readonly Point[], n: number): Point[] {
  return points.filter((_, index) => index % n === 0 || index === points.length - 1);
}

/** A coordinate with a tenth of a unit: finer than a pixel. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
