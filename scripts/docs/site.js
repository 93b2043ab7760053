// The search, and the list of pages on a narrow screen. Served with the site.
const [field, found, menu, chapters] = ["search", "found", "menu", "chapters"].map((id) => document.getElementById(id));

menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(chapters.classList.toggle("open"))));

let index;
let chosen = -1;

async function loadIndex() {
  index ??= fetch("search.json")
    .then((answer) => answer.json())
    .then(({ settings, content }) => MiniSearch.loadJS(content, settings));
  return index;
}

function show(results) {
  chosen = -1;
  found.hidden = results.length === 0;
  field.setAttribute("aria-expanded", String(results.length > 0));
  found.replaceChildren(
    ...results.map(({ id, title, page }, i) => {
      const [item, link, where] = ["li", "a", "small"].map((tag) => document.createElement(tag));
      item.id = `found-${i}`;
      item.setAttribute("role", "option");
      link.href = id;
      link.textContent = title;
      link.tabIndex = -1;
      where.textContent = page;
      link.append(where);
      item.append(link);
      return item;
    }),
  );
}

function choose(place) {
  const items = [...found.children];
  if (items.length === 0) return;
  chosen = (place + items.length) % items.length;
  for (const [i, item] of items.entries()) item.setAttribute("aria-selected", String(i === chosen));
  field.setAttribute("aria-activedescendant", items[chosen].id);
  items[chosen].scrollIntoView({ block: "nearest" });
}

field.addEventListener("focus", loadIndex);
field.addEventListener("input", async () => show(field.value.trim() === "" ? [] : (await loadIndex()).search(field.value).slice(0, 12)));
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen - 1);
  else if (event.key === "Escape") show([]);
  else if (event.key === "Enter") found.children[Math.max(chosen, 0)]?.querySelector("a").click();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /input|textarea|select/i.test(document.activeElement.tagName)) return;
  event.preventDefault();
  field.focus();
});
document.addEventListener("click", ({ target }) => found.contains(target) || show([]));
