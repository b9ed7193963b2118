import { expect, test } from "bun:test";
import { escapeHtml } from "./escape-html.ts";

test("what ends a text or an attribute of HTML is written as an entity, and nothing else", () => {
  expect(escapeHtml(`<a href="x" title='y'>&amp; ü</a>`)).toBe(
    "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp; ü&lt;/a&gt;",
  );
});
