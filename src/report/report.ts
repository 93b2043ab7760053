import { type Chart, renderChart } from "./chart.ts";
import { type Html, html } from "./html.ts";
import { style } from "./style.ts";
import { layOut, type Table } from "./table.ts";

/** A picture with what it shows; small ones are enlarged pixel by pixel. */
export interface Picture {
  readonly caption: string;
  /** The bytes of a PNG file. */
  readonly png: Uint8Array;
}

export interface Section {
  readonly heading: string;
  /** Starts folded: for what is looked up rather than read, such as a configuration. */
  readonly isFolded?: boolean;
  readonly paragraphs?: readonly string[];
  readonly table?: Table;
  readonly charts?: readonly Chart[];
  readonly images?: readonly Picture[];
}

/** A report as data: it knows nothing of what was measured. All texts are plain; none of them is taken for HTML. */
export interface ReportData {
  readonly title: string;
  readonly subtitle?: string;
  readonly sections: readonly Section[];
  /** The last line, e.g. the program's version and the command that repeats the run. */
  readonly footer?: string;
}

/**
 * One HTML file that needs nothing else: no script, no font, no address. It can be sent by mail and opened in ten years.
 *
 * @param data what to show, in its order; a section shows its paragraphs, table, charts and images, those that it has.
 */
export function renderReport(data: ReportData): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${data.title}</title>
<style>${{ html: style }}</style>
</head>
<body>
<header><h1>${data.title}</h1>${optional(data.subtitle, (text) => html`<p>${text}</p>`)}</header>
<main>
${data.sections.map(renderSection)}</main>
<footer>${data.footer ?? ""}</footer>
</body>
</html>
`;
  return page.html;
}

function renderSection(section: Section): Html {
  const content = html`${(section.paragraphs ?? []).map((text) => html`<p>${text}</p>\n`)}${optional(section.table, renderHtmlTable)}${optional(
    section.charts,
    (charts) => html`<div class="charts">${charts.map(renderChart)}</div>\n`,
  )}${optional(section.images, (images) => html`<div class="images">${images.map(renderPicture)}</div>\n`)}`;
  if (section.isFolded) return html`<section><details><summary>${section.heading}</summary>\n${content}</details></section>\n`;
  return html`<section><h2>${section.heading}</h2>\n${content}</section>\n`;
}

function renderHtmlTable(table: Table): Html {
  const { columns, rows } = layOut(table);
  const head = columns.map(
    ({ title, align, hint }) => html`<th class="${align}"${optional(hint, (text) => html` title="${text}"`)}>${title}</th>`,
  );
  const body = rows.map((row) => {
    const cells = row.map(({ text, isBest }, index) => html`<td class="${columns[index]!.align}${isBest ? " best" : ""}">${text}</td>`);
    return html`<tr>${cells}</tr>\n`;
  });
  return html`<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}</tbody></table></div>\n`;
}

function renderPicture({ caption, png }: Picture): Html {
  const pixels = pngWidth(png);
  const enlarged = pixels * Math.max(1, Math.floor(256 / pixels));
  const size = pixels > 0 ? html` width="${enlarged}"${enlarged > pixels ? { html: ' class="small"' } : { html: "" }}` : { html: "" };
  return html`<figure><img alt="${caption}" src="data:image/png;base64,${base64(png)}"${size}><figcaption>${caption}</figcaption></figure>`;
}

/** Width of a PNG, which stands in big-endian at byte 16; 0 if the bytes are too few to be one. */
function pngWidth(png: Uint8Array): number {
  return png.byteLength < 24 ? 0 : new DataView(png.buffer, png.byteOffset).getUint32(16);
}

function base64(bytes: Uint8Array): string {
  const parts: string[] = [];
  const chunk = 32_768; // as many arguments as every engine lets a call have
  for (let at = 0; at < bytes.byteLength; at += chunk) parts.push(String.fromCharCode(...bytes.subarray(at, at + chunk)));
  return btoa(parts.join(""));
}

function optional<Value>(value: Value | undefined, render: (value: Value) => Html): Html {
  return value === undefined ? { html: "" } : render(value);
}
