import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const root = join(import.meta.dir, "..");
const PAGES = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(join(root, "packages")).map((name) => join("packages", name, "README.md")),
  ...architectureNotes(),
  ...readdirSync(import.meta.dir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;

test.each(PAGES)("the links of %s lead somewhere", (page) => {
  const targets = [...readFileSync(join(root, page), "utf8").matchAll(LINK)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
  const broken = targets.filter((target) => {
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? join(root, page) : join(root, dirname(page), path);
    if (!existsSync(file)) return true;
    return anchor !== undefined && !(statSync(file).isFile() && anchors(file).has(anchor));
  });
  expect(broken).toEqual([]);
});

test("every page is reached from the README", () => {
  const seen = new Set<string>();
  const visit = (page: string): void => {
    if (seen.has(page)) return;
    seen.add(page);
    for (const [, target = ""] of readFileSync(join(root, page), "utf8").matchAll(LINK)) {
      const path = target.split("#")[0] ?? "";
      if (path.endsWith(".md") && !/^[a-z]+:/.test(path)) visit(join(dirname(page), path));
    }
  };
  visit("README.md");
  expect(PAGES.filter((page) => !seen.has(page))).toEqual([]);
});

/** The notes for people who change the code: each names the files that it is about. */
function architectureNotes(): string[] {
  const beside = readdirSync(join(root, "packages"), { recursive: true, encoding: "utf8" })
    .filter((name) => basename(name) === "ARCHITECTURE.md" && !name.includes("node_modules"))
    .map((name) => join("packages", name));
  return ["ARCHITECTURE.md", ...beside];
}

/** As GitHub makes them of headings. */
function anchors(file: string): ReadonlySet<string> {
  const headings = [...readFileSync(file, "utf8").matchAll(/^#+ +(.+)$/gm)].map(
    ([, text = ""]) => text,
  );
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
