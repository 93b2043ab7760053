const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** HTML that may be put into a page as it is. */
export interface Html {
  readonly html: string;
}

/**
 * A template of HTML in which every value is escaped, in texts as in quoted attributes, unless it is HTML itself.
 *
 * @example html`<p title="${hint}">${text}</p>`
 */
export function html(parts: TemplateStringsArray, ...values: readonly (string | number | Html | readonly Html[])[]): Html {
  return { html: parts.map((part, index) => part + (index < values.length ? embed(values[index]!) : "")).join("") };
}

function embed(value: string | number | Html | readonly Html[]): string {
  if (typeof value === "string" || typeof value === "number") return escapeHtml(String(value));
  return "html" in value ? value.html : value.map((part) => part.html).join("");
}

/** A text in which nothing can be taken for HTML or for the end of an attribute. Characters that XML does not allow become U+FFFD. */
export function escapeHtml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through
  return text.replace(/[&<>"']/g, (character) => entities[character]!).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "\ufffd");
}
