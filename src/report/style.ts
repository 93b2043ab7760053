/** The style sheet of a report: one column, light or dark as the reader's system is, and fit to be printed. */
export const style: string = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1c1e21; --soft: #656b73; --line: #e4e5e7; --best: #e8f1ec; --accent: #2458c5;
  --c0: #2458c5; --c1: #d9641e; --c2: #17845c; --c3: #8b46c0; --c4: #c7324b; --c5: #0d86a5; --c6: #a67c00; --c7: #69707a; }
@media (prefers-color-scheme: dark) {
  :root { --page: #141517; --card: #1c1e21; --ink: #e8e9eb; --soft: #9aa0a8; --line: #303338; --best: #1f3329; --accent: #8ab0ff;
    --c0: #7da7ff; --c1: #ff9a5c; --c2: #4fcb9a; --c3: #c795f2; --c4: #ff7d90; --c5: #53c6e3; --c6: #e3b93c; --c7: #a5acb6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 48px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0; text-wrap: balance; }
header p { color: var(--soft); margin: 8px 0 0; font-size: 16px; }
section { margin-top: 40px; }
h2, summary { font-size: 19px; font-weight: 600; letter-spacing: -0.01em; margin: 0 0 12px; }
summary { cursor: pointer; }
section > p, details > p { max-width: 72ch; margin: 0 0 12px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 16px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 9px 16px; text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 13px; border-bottom: 1px solid var(--line); }
th[title] { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
tbody tr + tr td { border-top: 1px solid var(--line); }
.right { text-align: right; }
td.best { font-weight: 650; background: var(--best); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px; margin-bottom: 16px; }
figure { margin: 0; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 16px 14px; }
figcaption { font-weight: 600; font-size: 14px; }
.chart figcaption { margin-bottom: 8px; }
.chart > svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.chart .grid { stroke: var(--line); }
.chart .axis { stroke: var(--soft); }
.chart path { fill: none; stroke: var(--c); stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; }
.chart .dashed path { stroke-dasharray: 5 4; }
.point { fill: var(--c); stroke: transparent; stroke-width: 10; opacity: 0; pointer-events: all; }
.point.few { opacity: 1; }
.point:hover { opacity: 1; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0 0; padding: 0; font-size: 13px; color: var(--soft); }
.legend svg { margin-right: 6px; vertical-align: middle; }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.empty { color: var(--soft); margin: 0; }
.images { display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; margin-bottom: 16px; }
.images img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
.images img.small { image-rendering: pixelated; }
.images figcaption { margin-top: 6px; font-weight: 400; font-size: 13px; color: var(--soft); }
footer { color: var(--soft); font-size: 13px; padding-top: 40px; padding-bottom: 40px; }
@media print { body { background: none; font-size: 12px; } section, figure { break-inside: avoid; } }
${Array.from({ length: 8 }, (_, index) => `.s${index} { --c: var(--c${index}); }`).join("\n")}
`;
