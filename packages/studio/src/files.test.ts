import { expect, test } from "bun:test";
import { studioFiles } from "./files.ts";

const files = await studioFiles();
const textOf = (name: string): string => files.get(name)?.text ?? "";

test("the page and all that it loads are files of the package", () => {
  expect([...files].map(([name, { type }]) => `${name} ${type}`).sort()).toEqual([
    "index.html text/html",
    "studio.css text/css",
    "studio.js text/javascript",
  ]);
  const loaded = textOf("index.html").matchAll(/(?:src|href)="([^"]*)"/g);
  const addresses = [...loaded].map(([, address = ""]) => address);
  expect(addresses.filter((address) => !address.startsWith("data:")).sort()).toEqual([
    "/studio/studio.css",
    "/studio/studio.js",
  ]);
});

test("the page runs under its policy: without inline scripts, styles and other sites", () => {
  const page = textOf("index.html");
  expect(page).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)/);
  expect(textOf("studio.css")).not.toMatch(/@import|url\(/);
});

test("the script is that of production, and stores nothing in the browser", () => {
  const script = textOf("studio.js");
  expect(script).not.toContain("Invalid hook call");
  expect(script).not.toMatch(/\bsessionStorage\b|document\.cookie/);
});
