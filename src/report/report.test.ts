import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Chart, renderChart } from "./chart.ts";
import { escapeHtml } from "./html.ts";
import { formatNumber, formatTick } from "./number.ts";
import { renderReport } from "./report.ts";
import { type Column, renderCsv, renderTable, type Table } from "./table.ts";

const aHostileText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("<script>alert(1)</script>", '" onload="x', "</style>", "&lt;", "]]>", "'\u0000"),
);
const aPoint = fc.tuple(fc.double(), fc.double());
const aChart: fc.Arbitrary<Chart> = fc.record({
  title: aHostileText,
  xLabel: aHostileText,
  yLabel: aHostileText,
  logY: fc.boolean(),
  series: fc.array(fc.record({ name: aHostileText, points: fc.array(aPoint, { maxLength: 8 }) }), { maxLength: 3 }),
});
const aCell = fc.oneof(fc.constant(null), aHostileText, fc.double(), fc.record({ text: aHostileText, value: fc.double() }));
const aTable: fc.Arbitrary<Table> = fc.record({
  columns: fc.array(
    fc.oneof(aHostileText, fc.record({ title: aHostileText, hint: aHostileText, best: fc.constantFrom("min" as const, "max" as const) })),
    { minLength: 1, maxLength: 4 },
  ),
  rows: fc.array(fc.array(aCell, { maxLength: 4 }), { maxLength: 4 }),
});
const aReport = fc.record({
  title: aHostileText,
  subtitle: aHostileText,
  footer: aHostileText,
  sections: fc.array(
    fc.record({
      heading: aHostileText,
      isFolded: fc.boolean(),
      paragraphs: fc.array(aHostileText),
      table: aTable,
      charts: fc.array(aChart, { maxLength: 2 }),
    }),
    { maxLength: 2 },
  ),
});

/** The tags of a page, the closing ones too; fails on a `<` or `>` that belongs to none. */
function tagsOf(page: string): string[] {
  const body = page.replace(/<style>[^<]*<\/style>/, "");
  expect(body.replace(/<[!/]?[a-z0-9]+(?:\s[a-zA-Z0-9-]+(?:="[^"<>]*")?)*\s*\/?>/g, "")).not.toMatch(/[<>]/);
  return [...body.matchAll(/<\/?([a-z0-9]+)/g)].map(([, tag]) => tag!);
}

const known =
  "html head meta title body header h1 p main section h2 details summary div table thead tbody tr th td figure figcaption svg g path line text circle ul li b img footer".split(
    " ",
  );

describe("a report", () => {
  test("is made of our tags only, whatever texts and numbers it is given", () => {
    fc.assert(
      fc.property(aReport, (data) => {
        const page = renderReport(data);
        expect(tagsOf(page).filter((tag) => !known.includes(tag))).toEqual([]);
        expect(page).not.toMatch(/(?:x|y|x1|x2|y1|y2|cx|cy|d)="[^"]*(?:NaN|Infinity|undefined)/);
      }),
    );
  });

  test("asks the network for nothing", () => {
    const page = renderReport({ title: "t", sections: [{ heading: "h", images: [{ caption: "c", png: new Uint8Array(40) }] }] });
    expect(page).not.toMatch(/https?:|src="(?!data:)|href=|@import|url\(|<script/);
    expect(page).toContain("default-src 'none'");
  });

  test("carries pictures as they are, and enlarges small ones", () => {
    const png = Uint8Array.from({ length: 100_000 }, (_, index) => index & 255);
    new DataView(png.buffer).setUint32(16, 32);
    const page = renderReport({ title: "t", sections: [{ heading: "h", images: [{ caption: 'a "digit"', png }] }] });
    const [, data] = /src="data:image\/png;base64,([^"]+)"/.exec(page)!;
    expect(Buffer.compare(Buffer.from(data!, "base64"), png)).toBe(0);
    expect(page).toContain('alt="a &quot;digit&quot;"');
    expect(page).toContain('width="256" class="small"');
  });
});

describe("a chart", () => {
  const draw = (chart: Partial<Chart>): string => renderChart({ title: "t", xLabel: "step", yLabel: "loss", series: [], ...chart }).html;
  const pathsOf = (svg: string): string[] => [...svg.matchAll(/<g class="s\d[^"]*"><path d="([^"]*)"/g)].map(([, path]) => path!);

  test("draws a curve from the lower left to the upper right corner of its frame", () => {
    const [path] = pathsOf(
      draw({
        series: [
          {
            name: "a",
            points: [
              [0, 0],
              [10, 100],
            ],
          },
        ],
      }),
    );
    expect(path).toBe("M48 268L546 32");
  });

  test("of values at one place writes them out: one value, several systems, or a flat zero", () => {
    const cases: [Chart["series"], RegExp[]][] = [
      [[{ name: "a", points: [[60, 1.5]] }], [/loss, at step 60 only/, /a <b>1.5<\/b>/]],
      [
        [
          { name: "a", points: [[7, 2]] },
          { name: "b", points: [[7, 3]] },
        ],
        [/a <b>2<\/b>/, /b <b>3<\/b>/],
      ],
      [[{ name: "a", points: [[0, 0]] }], [/at step 0 only/, /a <b>0<\/b>/]],
    ];
    for (const [series, parts] of cases) {
      const drawn = draw({ series });
      expect(drawn).not.toContain("<path");
      for (const part of parts) expect(drawn).toMatch(part);
    }
  });

  test("leaves gaps where a value is no number, or not above 0 on a logarithmic axis", () => {
    const points: [number, number][] = [
      [0, 1],
      [1, 2],
      [2, NaN],
      [3, 4],
      [4, -1],
      [5, 3],
    ];
    expect(pathsOf(draw({ series: [{ name: "a", points }] }))[0]!.match(/M/g)).toHaveLength(2);
    expect(pathsOf(draw({ logY: true, series: [{ name: "a", points }] }))[0]!.match(/M/g)).toHaveLength(3);
  });

  test("with a million points stays small and keeps their peak", () => {
    const points = Array.from({ length: 1_000_000 }, (_, i): [number, number] => [i, i === 500_123 ? 100 : 1]);
    const svg = draw({ series: [{ name: "a", points }] });
    expect(svg.length).toBeLessThan(30_000);
    expect(pathsOf(svg)[0]).toContain(" 32L"); // the top of the frame
  });

  test("says a point's value when the pointer rests on it, and the last one in the legend", () => {
    const svg = draw({
      series: [
        {
          name: "block-0",
          points: [
            [100, 0.5],
            [200, 0.25],
          ],
        },
      ],
    });
    expect(svg).toContain("<title>block-0\nstep: 100\nloss: 0.5</title>");
    expect(svg).toContain("block-0 <b>0.25</b>");
  });

  test("without data says so", () => {
    expect(draw({ series: [{ name: "a", points: [[0, NaN]] }] })).toContain("No data yet.");
  });
});

describe("a table", () => {
  const columns: (string | Column)[] = ["Method", { title: "Accuracy", best: "max" }, { title: "Memory", best: "min" }];
  const rows = [
    ["DiffusionBlocks", { text: "59.3 ± 0.3", value: 59.3 }, 312],
    ["End-to-end", { text: "60.1 ± 0.2", value: 60.1 }, 901],
    ["Größer 你好", null, 1234.56],
  ];

  test("is aligned in the terminal, numbers to the right, the best with a star", () => {
    expect(renderTable(columns, rows)).toBe(
      [
        "Method             Accuracy    Memory",
        "───────────────  ───────────  ────────",
        "DiffusionBlocks  59.3 ± 0.3       312*",
        "End-to-end       60.1 ± 0.2*      901",
        "Größer 你好               –   1,234.6",
      ].join("\n"),
    );
  });

  test("as CSV has full precision and quotes what must be quoted", () => {
    expect(renderCsv(["a,b", { title: "x" }], [['say "hi"', 1 / 3], ["two\nlines", { text: "1 ± 2", value: 1 }], [null]])).toBe(
      '"a,b",x\r\n"say ""hi""",0.3333333333333333\r\n"two\nlines",1\r\n,\r\n',
    );
  });

  test("of any content has lines of one grid in the terminal", () => {
    fc.assert(
      fc.property(aTable, ({ columns: titles, rows: cells }) => {
        expect(renderTable(titles, cells).split("\n")).toHaveLength(cells.length + 2);
      }),
    );
  });
});

describe("numbers", () => {
  test.each([
    [0, "0"],
    [12000000, "12,000,000"],
    [-3, "−3"],
    [0.1 + 0.2, "0.3"],
    [59.34567, "59.35"],
    [1234.56, "1,234.6"],
    [0.00001234, "1.23e-5"],
    [1e-5, "1e-5"],
    [2.5e12, "2.5e12"],
    [NaN, "NaN"],
    [-Infinity, "−∞"],
  ])("%d reads %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  test.each([
    [0.30000000000000004, 0.1, "0.3"],
    [1500000, 500000, "1.5M"],
    [20000, 5000, "20k"],
    [2000, 500, "2000"],
    [0.0004, 0.0002, "0.0004"],
    [1e-7, 1e-7, "1e-7"],
    [-20, 10, "−20"],
    [100, 20, "100"],
    [0, 1, "0"],
  ])("a tick at %d, steps of %d, reads %s", (value, step, text) => {
    expect(formatTick(value, step)).toBe(text);
  });

  test("escaping leaves nothing that ends a text or an attribute", () => {
    expect(escapeHtml(`<a href="x" title='y'>&\u0000`)).toBe("&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;\ufffd");
  });
});
