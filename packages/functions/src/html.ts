import { HTML, isHtml } from "@pylonsync/sdk";

/**
 * HTML that is inserted without escaping; created by `html`.
 *
 * @example
 * const line = new Html("<hr>");
 */
export class Html {
  readonly [HTML] = true;
  readonly #text: string;

  /** @param text HTML in which values are already escaped */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Builds HTML, for example for an email. Values are escaped, except `Html` objects and lists of
 * them.
 *
 * @example
 * const items = ["milk", "bread & butter"].map((item) => html`<li>${item}</li>`);
 * const body = html`<ul>${items}</ul>`;
 */
export function html(parts: TemplateStringsArray, ...values: readonly unknown[]): Html {
  const text = parts.map(
    (part, index) => part + (index < values.length ? shown(values[index]) : ""),
  );
  return new Html(text.join(""));
}

function shown(value: unknown): string {
  if (isHtml(value)) return String(value);
  if (Array.isArray(value)) return value.map(shown).join("");
  if (value === null || value === undefined) return "";
  return String(value).replaceAll(/[&<>"']/g, (char) => ESCAPES[char] ?? char);
}
