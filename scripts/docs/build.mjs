// The documentation as a site: pages of the repository, and pages that are made from the library itself, so that they cannot say anything else.
// Run: npm run docs (writes site/, which any web server serves, from any folder)
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import MiniSearch from "minisearch";
import { apiPages } from "./api.mjs";
import { commandPages } from "./commands.mjs";
import { errorPage } from "./errors.mjs";
import { modelPages } from "./models.mjs";
import { htmlOf, layout, searchFields } from "./render.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Pages that people write, by the chapters of the site. `file` is where the words are, `name` the page. */
const chapters = [
  {
    title: "Begin",
    pages: [
      { file: "README.md", name: "index", title: "Overview" },
      { file: "docs/CONCEPTS.md", name: "concepts", title: "Concepts" },
      { file: "docs/GUIDE.md", name: "guide", title: "Guide" },
      { file: "docs/FAQ.md", name: "faq", title: "Questions" },
    ],
  },
  {
    title: "Evidence",
    pages: [
      { file: "docs/PAPER.md", name: "paper", title: "From the paper to the code" },
      { file: "docs/QUALITY.md", name: "quality", title: "Quality" },
      { file: "bench/RESULTS.md", name: "speed", title: "Speed and memory" },
      { file: "docs/RELIABILITY.md", name: "reliability", title: "Reliability" },
    ],
  },
  {
    title: "Project",
    pages: [
      { file: "docs/ARCHITECTURE.md", name: "architecture", title: "Architecture" },
      { file: "docs/DEPENDENCIES.md", name: "dependencies", title: "Dependencies" },
      { file: "CONTRIBUTING.md", name: "contributing", title: "Contributing" },
      { file: "SECURITY.md", name: "security", title: "Security" },
      { file: "CHANGELOG.md", name: "changelog", title: "Changelog" },
    ],
  },
];

/**
 * Writes the site.
 *
 * @param target folder, which is emptied.
 * @returns the names of the pages.
 * @throws Error for a link that leads nowhere, and a file of the repository that a page names and that is not there.
 */
export async function buildSite(target) {
  const written = chapters.map(({ title, pages }) => ({
    title,
    pages: pages.map((page) => ({ ...page, markdown: readFileSync(join(root, page.file), "utf8") })),
  }));
  const made = [
    { title: "Models", pages: await modelPages(root) },
    { title: "Reference", pages: [...(await commandPages(root)), ...apiPages(root), errorPage(root)] },
  ];
  const all = [written[0], ...made, ...written.slice(1)];
  const pages = all.flatMap((chapter) => chapter.pages);
  const pageOfFile = new Map(pages.flatMap(({ file, name }) => (file === undefined ? [] : [[file, name]])));
  const files = new Set();

  /** Where a link of a page leads on the site. */
  const linkFrom = (page) => (href) => {
    if (/^(https?:|mailto:|#)/.test(href)) return href;
    const [path, anchor] = href.split("#");
    const suffix = anchor === undefined ? "" : `#${anchor}`;
    if (page.file === undefined) return `${path}.html${suffix}`; // made pages name pages
    const file = relative(root, resolve(root, dirname(page.file), path));
    const name = pageOfFile.get(file);
    if (name !== undefined) return `${name}.html${suffix}`;
    if (!existsSync(join(root, file))) throw new Error(`${page.file}: ${href} is not there`);
    if (!/\.(png|svg|jpg|apng)$/.test(file)) return undefined; // a file of the repository, which is no page
    files.add(file);
    return `files/${basename(file)}`;
  };

  rmSync(target, { recursive: true, force: true });
  mkdirSync(join(target, "files"), { recursive: true });
  const rendered = pages.map((page) => ({ ...page, ...htmlOf(page.markdown, linkFrom(page)) }));
  checkAnchors(rendered);
  checkNamedFiles(rendered);
  for (const page of rendered) writeFileSync(join(target, `${page.name}.html`), layout(page, all, rendered));
  for (const file of files) copyFileSync(join(root, file), join(target, "files", basename(file)));

  const search = new MiniSearch(searchFields);
  search.addAll(
    rendered.flatMap(({ name, title, sections }) =>
      sections.map((section) => ({ ...section, id: `${name}.html#${section.anchor}`, page: title })),
    ),
  );
  writeFileSync(join(target, "search.json"), JSON.stringify({ settings: searchFields, content: search }));
  const library = fileURLToPath(import.meta.resolve("minisearch")).replace(/dist\/.*$/, "dist/umd/index.js");
  copyFileSync(library, join(target, "files/minisearch.js"));
  for (const name of ["site.css", "site.js"]) copyFileSync(new URL(name, import.meta.url), join(target, "files", name));
  return pages.map(({ name }) => name);
}

function checkAnchors(pages) {
  const anchors = new Map(pages.map(({ name, anchors }) => [`${name}.html`, anchors]));
  for (const { name, links } of pages)
    for (const link of links) {
      if (/^(https?:|mailto:|files\/)/.test(link)) continue;
      const [path, anchor] = link.split("#");
      const there = anchors.get(path === "" ? `${name}.html` : path);
      if (there === undefined) throw new Error(`${name}: there is no page ${path}`);
      if (anchor !== undefined && !there.has(anchor)) throw new Error(`${name}: ${path} has no heading #${anchor}`);
    }
}

/** Files that a page names as code must be there: `src/tensor/rewrites/`, `examples/mixer.mjs`. */
function checkNamedFiles(pages) {
  for (const { file, markdown } of pages.filter(({ file }) => file !== undefined && file !== "CHANGELOG.md"))
    for (const [, path] of markdown.matchAll(/`((?:src|test|docs|scripts|examples|bench|web)\/[\w./-]+)`/g))
      if (!existsSync(join(root, path))) throw new Error(`${file} names ${path}, which is not there`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = join(root, "site");
  const names = await buildSite(target);
  console.log(
    `${names.length} pages in ${relative(process.cwd(), target)}/: open ${relative(process.cwd(), target)}/index.html, or serve the folder`,
  );
}
