import { expect, test } from "bun:test";
import script from "./auth-page.text.js" with { type: "text" };
import { isPageName, pageHtml, PAGES } from "./page-html.ts";

const NAMES = Object.keys(PAGES).filter(isPageName);
const BAD = '"><script>alert(1)</script>';

test.each(NAMES)("%s escapes every name, URL and problem", (name) => {
  const html = pageHtml(name, BAD, BAD, BAD);
  expect(html).not.toContain("<script>alert");
  expect(html.match(/<script /g)).toHaveLength(1);
  expect(html).toContain(`<h1>${PAGES[name].title}</h1>`);
});

test.each(NAMES)("%s closes each element that it opens", (name) => {
  const open: string[] = [];
  const html = pageHtml(name, "Shop", "/", null);
  for (const [, end, tag = ""] of html.matchAll(/<(\/?)([a-z0-9]+)[^>]*>/g)) {
    if (["meta", "link", "input"].includes(tag)) continue;
    if (end === "") open.push(tag);
    else expect(open.pop()).toBe(tag);
  }
  expect(open).toEqual([]);
});

test("the script handles each form of the pages, and the pages have all its forms", () => {
  const inPages = NAMES.flatMap((name) =>
    [...PAGES[name].body.matchAll(/<form id="([^"]+)"/g)].map(([, id]) => id),
  );
  const inScript = [...script.matchAll(/onSubmit\("([^"]+)"/g)].map(([, id]) => id);
  expect(new Set(inScript)).toEqual(new Set(inPages));
});
