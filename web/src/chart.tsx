import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  readonly label: string;
  /** Name of a custom property of the style sheet: "--c0". */
  readonly colour: string;
  readonly dashed?: boolean;
  /** Fills the area below. */
  readonly filled?: boolean;
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly x: readonly number[];
  readonly lines: readonly Line[];
  readonly logX?: boolean;
  readonly height?: number;
  /** Vertical lines, such as the cuts between blocks. */
  readonly marks?: readonly number[];
  /** Shaded along x, such as the ranges that blocks train in. */
  readonly bands?: readonly { readonly from: number; readonly to: number; readonly colour: string }[];
  readonly yRange?: readonly [number, number];
  /** What a reader who does not see the picture is told. */
  readonly summary: string;
}

/** A colour of the style sheet as it is now, light or dark. */
export function colourOf(name: string, alpha = 1): string {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
  return alpha === 1 ? value : `color-mix(in srgb, ${value} ${100 * alpha}%, transparent)`;
}

/** 0.002, 0.18, 7.3, 80 */
export function shortNumber(value: number): string {
  return String(Number(value.toPrecision(value >= 100 ? 3 : 2)));
}

/** A line chart by uPlot; it is made anew when its lines or the colours change, and given new numbers otherwise. */
export function Chart(props: ChartProps) {
  const { title, x, lines, summary, height = 230 } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const latest = useRef(props);
  latest.current = props;
  const dark = useDark();
  const shape = JSON.stringify([
    lines.map(({ label, colour, dashed, filled }) => [label, colour, dashed, filled]),
    props.logX,
    dark,
    height,
  ]);

  useEffect(() => {
    const holder = place.current!;
    const made = new uPlot(optionsOf(latest, holder.clientWidth, height), dataOf(latest.current), holder);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (holder.clientWidth > 0) made.setSize({ width: holder.clientWidth, height });
    });
    observer.observe(holder);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf({ ...props, x, lines })));
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={`${title}: ${summary}`} />
    </figure>
  );
}

function dataOf({ x, lines }: ChartProps): uPlot.AlignedData {
  return [[...x], ...lines.map(({ values }) => [...values])] as uPlot.AlignedData;
}

function optionsOf(latest: { readonly current: ChartProps }, width: number, height: number): uPlot.Options {
  const { lines, xTitle, yTitle, logX = false, yRange } = latest.current;
  const axis = {
    stroke: colourOf("--soft"),
    grid: { stroke: colourOf("--line"), width: 1 },
    ticks: { stroke: colourOf("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    labelSize: 18,
  };
  return {
    width,
    height,
    legend: { show: lines.length > 1 },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false, ...(logX && { distr: 3 }) },
      y: yRange === undefined ? {} : { range: [...yRange] },
    },
    axes: [
      {
        ...axis,
        label: xTitle,
        size: 34,
        ...(logX && { values: (_: uPlot, ticks: number[]) => ticks.map((v) => (/^1|^0\.0*1$/.test(String(v)) ? shortNumber(v) : "")) }),
      },
      { ...axis, label: yTitle, size: 58 },
    ],
    series: [
      { label: xTitle, value: (_, value) => (value == null ? "–" : shortNumber(value)) },
      ...lines.map(
        ({ label, colour, dashed, filled }): uPlot.Series => ({
          label,
          stroke: colourOf(colour),
          width: 1.8,
          points: { show: false },
          spanGaps: !filled,
          ...(dashed && { dash: [5, 4] }),
          ...(filled && { fill: colourOf(colour, 0.35) }),
          value: (_, value) => (value == null ? "–" : shortNumber(value)),
        }),
      ),
    ],
    hooks: {
      drawAxes: [
        (plot) => {
          const { marks = [], bands = [] } = latest.current;
          const { ctx, bbox } = plot;
          ctx.save();
          ctx.beginPath();
          ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
          ctx.clip();
          for (const { from, to, colour } of bands) {
            const [left, right] = [plot.valToPos(from, "x", true), plot.valToPos(to, "x", true)];
            ctx.fillStyle = colourOf(colour, 0.12);
            ctx.fillRect(left, bbox.top, right - left, bbox.height);
          }
          ctx.strokeStyle = colourOf("--soft");
          ctx.setLineDash([3, 3]);
          for (const mark of marks) {
            const at = plot.valToPos(mark, "x", true);
            if (at < bbox.left - 1 || at > bbox.left + bbox.width + 1) continue;
            ctx.beginPath();
            ctx.moveTo(at, bbox.top);
            ctx.lineTo(at, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        },
      ],
    },
  };
}

/** Whether the page is dark now. */
function useDark(): boolean {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const listener = (): void => setDark(query.matches);
    query.addEventListener("change", listener);
    return () => query.removeEventListener("change", listener);
  });
  return dark;
}

/** Values by step, as means of at most `bins` parts of [0, last]: a curve of any length is drawn at the same cost. */
export function binned(curves: readonly { readonly steps: readonly number[]; readonly values: readonly number[] }[], bins = 60) {
  const last = Math.max(1, ...curves.map(({ steps }) => steps.at(-1) ?? 0));
  const size = Math.max(last > 20 ? 2 : 1, Math.ceil(last / bins));
  const count = Math.ceil(last / size);
  const x = Array.from({ length: count }, (_, i) => (i + 0.5) * size + 0.5);
  const lines = curves.map(({ steps, values }) => {
    const sums = new Float64Array(count);
    const counts = new Uint32Array(count);
    for (let i = 0; i < steps.length; i++) {
      if (!Number.isFinite(values[i]!)) continue;
      const bin = Math.floor((steps[i]! - 1) / size);
      sums[bin]! += values[i]!;
      counts[bin]!++;
    }
    return Array.from(sums, (sum, i) => (counts[i] === 0 ? null : sum / counts[i]!));
  });
  return { x, lines };
}
