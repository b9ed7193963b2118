import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_STATUS } from "@pylonsync/protocol";
import { CLIENT_ERROR_CODES } from "@pylonsync/sync";

const ROOT = join(import.meta.dir, "..");
/**
 * Pass on codes that come from elsewhere: an app's functions, or a caller whose parameter has the
 * type of the catalogue's codes.
 */
const HAND_ON = [
  "functions/src/declared-errors.ts",
  "functions/src/simulation/simulation.ts",
  "server/src/auth/oauth/oauth-failure.ts",
  "server/src/data/hook-context.ts",
  "server/src/data/include.ts",
  "server/src/data/transfer-routes.ts",
  "server/src/isolation/sent-error.ts",
  "server/src/request/responses.ts",
  "server/src/rooms/routes.ts",
  "server/src/shards/thread-messages.ts",
];

test("every code that the sources refuse with is in the catalogue", () => {
  const unlisted: string[] = [];
  const handOn = new Set<string>();
  for (const file of new Bun.Glob("{functions,protocol,query,server}/src/**/*.ts").scanSync(
    join(ROOT, "packages"),
  )) {
    if (file.endsWith(".test.ts")) continue;
    for (const [, code = ""] of readFileSync(join(ROOT, "packages", file), "utf8").matchAll(
      /\b(?:new (?:PylonError|QueryError)|ctx\.error)\(([^,)]+)/g,
    )) {
      const literals = [...code.matchAll(/"([A-Z_]+)"/g)].map(([, literal = ""]) => literal);
      unlisted.push(
        ...literals
          .filter((literal) => !Object.hasOwn(ERROR_STATUS, literal))
          .map((literal) => `${file}: ${literal}`),
      );
      // A table of codes is checked by its type.
      if (literals.length === 0 && code !== "MISSING[field]") handOn.add(file);
    }
  }
  expect(unlisted).toEqual([]);
  expect([...handOn].toSorted()).toEqual(HAND_ON);
});

const page = readFileSync(join(import.meta.dir, "errors.md"), "utf8");

test("the page lists the codes of the client, and no other", () => {
  const [, section = ""] = page.split("## Client errors");
  expect([...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, code = ""]) => code).toSorted()).toEqual(
    [...CLIENT_ERROR_CODES].toSorted(),
  );
});

test("what the client says by itself is listed", () => {
  const said = new Set<string>();
  for (const file of new Bun.Glob("{sync,react}/src/**/*.{ts,tsx}").scanSync(
    join(ROOT, "packages"),
  )) {
    if (/\.test\.tsx?$/.test(file)) continue;
    const text = readFileSync(join(ROOT, "packages", file), "utf8");
    for (const [, code = ""] of text.matchAll(/(?:code: |ofClient\()"([A-Z_]+)"/g)) said.add(code);
  }
  expect([...said].toSorted()).toEqual([...CLIENT_ERROR_CODES].toSorted());
});

test("the page lists every code with its status, and no other", () => {
  const listed = [...page.matchAll(/^\| (`[^|]+) \| (\d+) \|/gm)].flatMap(
    ([, codes = "", status = ""]) =>
      [...codes.matchAll(/`(\w+)`/g)].map(([, code = ""]): [string, number] => [
        code,
        Number(status),
      ]),
  );
  expect(Object.fromEntries(listed)).toEqual(ERROR_STATUS);
});
