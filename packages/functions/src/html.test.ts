import { expect, test } from "bun:test";
import fc from "fast-check";
import { html } from "./html.ts";

// Under this name the formatter does not format it as HTML.
const tag = html;

test("values are escaped, and pieces of HTML are not", () => {
  const items = ["a", "<b>"].map((item) => tag`<li>${item}</li>`);
  expect(String(tag`<ul>${items}</ul>`)).toBe("<ul><li>a</li><li>&lt;b&gt;</li></ul>");
  expect(String(tag`<p title="${'"x"'}"></p>`)).toBe('<p title="&quot;x&quot;"></p>');
  expect(String(tag`${null}${undefined}${0}${false}`)).toBe("0false");
});

test("pieces made by another copy of the package are not escaped either", async () => {
  const copy = "./html.ts?copy";
  const other: { readonly html: typeof html } = await import(copy);
  const piece = other.html`<b>${"<"}</b>`;
  expect(other.html).not.toBe(html);
  expect(String(tag`<p>${piece}</p>`)).toBe("<p><b>&lt;</b></p>");
});

test("no text opens a tag, ends an attribute or begins an entity", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const escaped = String(html`${text}`);
      expect(escaped).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
      const back = escaped.replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => {
        const chars: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
        return chars[name] ?? "'";
      });
      expect(back).toBe(text);
    }),
  );
});
