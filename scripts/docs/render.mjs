import { Marked } from "marked";

/** What is searched: a section of a page. */
export const searchFields = {
  fields: ["title", "page", "text"],
  storeFields: ["title", "page"],
  searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15 },
};

export function escaped(text) {
  return String(text).replace(/[&<>"]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[character]);
}

/** The anchor of a heading, as code hosts make it. */
function anchorOf(text) {
  return text
    .toLowerCase()
    .replace(/<[^>]*>|&\w+;/g, "")
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/**
 * A page of Markdown as HTML.
 *
 * @param linkTo where a link leads on the site; undefined: it stays text.
 * @returns html; the headings with their anchors; all links; sections as plain text, for the search.
 */
export function htmlOf(markdown, linkTo) {
  const anchors = new Set();
  const headings = [];
  const links = [];
  const sections = [];
  const anchor = (text) => {
    const base = anchorOf(text);
    let name = base;
    for (let i = 1; anchors.has(name); i++) name = `${base}-${i}`;
    anchors.add(name);
    return name;
  };
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const id = anchor(text);
        const html = this.parser.parseInline(tokens);
        headings.push({ depth, id, html });
        sections.push({ title: text.replace(/[`*]/g, ""), anchor: id, text: "" });
        return `<h${depth} id="${id}">${html} <a class="anchor" href="#${id}" aria-label="Link to this section">#</a></h${depth}>\n`;
      },
      link({ href, tokens }) {
        const to = linkTo(href);
        const html = this.parser.parseInline(tokens);
        if (to === undefined) return html;
        links.push(to);
        return `<a href="${escaped(to)}">${html}</a>`;
      },
      image({ href, text }) {
        const to = linkTo(href);
        links.push(to);
        return `<img src="${escaped(to)}" alt="${escaped(text)}" loading="lazy">`;
      },
      table(token) {
        const cell = (tag, { tokens, align }) => `<${tag}${align ? ` class="${align}"` : ""}>${this.parser.parseInline(tokens)}</${tag}>`;
        const row = (tag, cells) => `<tr>${cells.map((one) => cell(tag, one)).join("")}</tr>`;
        return `<div class="scroll" tabindex="0"><table><thead>${row("th", token.header)}</thead><tbody>${token.rows.map((cells) => row("td", cells)).join("\n")}</tbody></table></div>\n`;
      },
      code({ text, lang }) {
        return `<pre tabindex="0"><code${lang ? ` class="${escaped(lang)}"` : ""}>${escaped(text)}</code></pre>\n`;
      },
    },
  });
  const tokens = marked.lexer(markdown);
  const html = marked.parser(tokens);
  // Sections for the search: what stands behind each heading.
  let at = -1;
  for (const token of tokens) {
    if (token.type === "heading") at++;
    else if (at >= 0) sections[at].text += ` ${token.raw.replace(/[`*|#]/g, " ")}`;
  }
  return { html, headings, anchors, links, sections };
}

/** A whole page: chapters on the left, the page, its headings on the right, the neighbours below. */
export function layout(page, chapters, pages) {
  const index = pages.findIndex(({ name }) => name === page.name);
  const neighbour = (offset, words) => {
    const other = pages[index + offset];
    return other === undefined ? "<span></span>" : `<a href="${other.name}.html">${words(escaped(other.title))}</a>`;
  };
  const inside = page.headings.filter(({ depth }) => depth === 2);
  const nav = chapters.map(
    ({ title, pages: own }) =>
      `<h2>${escaped(title)}</h2><ul>${own.map(({ name, title: words }) => `<li><a href="${name}.html"${name === page.name ? ' aria-current="page"' : ""}>${escaped(words)}</a></li>`).join("")}</ul>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.title)} · diffusion-blocks</title>
<link rel="stylesheet" href="files/site.css">
<script src="files/minisearch.js" defer></script>
<script src="files/site.js" defer></script>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="home" href="index.html">diffusion-blocks</a>
<button type="button" id="menu" aria-expanded="false" aria-controls="chapters">Pages</button>
<form role="search"><label><span class="hidden">Search</span><input id="search" type="search" placeholder="Search  /" autocomplete="off" role="combobox" aria-expanded="false" aria-controls="found"></label><ul id="found" class="found" role="listbox" aria-label="Found" hidden></ul></form>
</header>
<div class="columns">
<nav id="chapters" aria-label="Pages">${nav.join("\n")}</nav>
<main id="content" tabindex="-1">
${page.html}
<div class="neighbours">${neighbour(-1, (title) => `← ${title}`)}${neighbour(1, (title) => `${title} →`)}</div>
</main>
<nav class="inside" aria-label="On this page">${inside.length < 2 ? "" : `<h2>On this page</h2><ul>${inside.map(({ id, html }) => `<li><a href="#${id}">${html}</a></li>`).join("")}</ul>`}</nav>
</div>
</body>
</html>
`;
}
