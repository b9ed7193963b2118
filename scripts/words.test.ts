import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SCRIPT = join(import.meta.dir, "words.mjs");
const dir = mkdtempSync(join(tmpdir(), "pylon-words-test-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const PLAIN = `The session is no longer valid. There is no command of that name.
There are no rows, and there is none to delete. It takes no more than a second.
It is no other than before. It is good for a day. A recommended amendment.
PYLON_COOKIE_SAME_SITE is none, which needs PYLON_COOKIE_SECURE.
`;

async function words(...args: string[]): Promise<{ readonly out: string; readonly code: number }> {
  const child = Bun.spawn(["node", SCRIPT, ...args], { stdout: "pipe", stderr: "inherit" });
  return { out: await new Response(child.stdout).text(), code: await child.exited };
}

// If this fails, use other words in the text.
test("no text, comment or title has a phrase that is not plain English", async () => {
  expect(await words()).toEqual({ out: "", code: 0 });
}, 60_000);

test("each place is named by file and line, across concatenations and line ends", async () => {
  const files = {
    "packages/app/src/a.tsx": `// nobody but the reader of this comment
import "./mend.ts";
export const fine = "is no longer here";
export const first = "todos is good";
export const second =
  "This user is " +
  "no more.";
export const third = <p>Make an account</p>;
export const fourth = (name: string): string => \`\${name} is no \${"x"} page\`;
`,
    "packages/app/src/a.test.ts": 'export const text = "to be had";\n',
    "tests/b.test.ts":
      '/** There\n * is no such row, and it is\n * no row. */\ntest("whoever", a);\n',
    "docs/plain.md": PLAIN,
    "docs/page.md": "# Page\n\nThe list is made\nanew, and the link is of\nnobody.\n",
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
  const { out, code } = await words("--root", dir);
  expect(code).toBe(1);
  expect(out.split("\n").map((line) => line.replace(/: write .*/, ""))).toEqual([
    'packages/app/src/a.tsx:4: "is good"',
    // For "is no more" the first idiom is named.
    'packages/app/src/a.tsx:6: "is no "',
    'packages/app/src/a.tsx:8: "Make an account"',
    'packages/app/src/a.tsx:9: "is no "',
    'docs/page.md:4: "anew"',
    'docs/page.md:4: "of nobody"',
    'tests/b.test.ts:2: "is * no "',
    'tests/b.test.ts:4: "whoever"',
    "",
  ]);
});
