import { expect, test } from "bun:test";
import { escapeHtml } from "./escape-html.ts";

test("only characters that end a text or an attribute of HTML are escaped", () => {
  expect(escapeHtml(`<a href="x" title='y'>&amp; ü</a>`)).toBe(
    "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp; ü&lt;/a&gt;",
  );
});
