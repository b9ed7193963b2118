import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_STATUS } from "@pylonsync/protocol";

test("the page lists every code with its status, and no other", () => {
  const page = readFileSync(join(import.meta.dir, "errors.md"), "utf8");
  const listed = [...page.matchAll(/^\| (`[^|]+) \| (\d+) \|/gm)].flatMap(([, codes = "", status = ""]) =>
    [...codes.matchAll(/`(\w+)`/g)].map(([, code = ""]): [string, number] => [code, Number(status)]),
  );
  expect(Object.fromEntries(listed)).toEqual(ERROR_STATUS);
});
