import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMAND, noteApp, pylon, type Result } from "./testing/pylon-process.ts";
import { ServedApp } from "./testing/served-app.ts";

let app: ServedApp;

beforeAll(async () => {
  app = await ServedApp.start({
    "app.ts": noteApp("text: field.string(), stars: field.int().optional()"),
    "notes.csv": '\ufefftext,id,stars\r\n"two\r\nlines",a,5\r\n=1+1,b,\r\n',
    "more.csv": 'id,text,stars\na,one again,1\n"c",three,many\nd,four,"1\n',
    "header.csv": "id,txet\n",
    "taken.csv": "before",
  });
});
afterAll(() => app[Symbol.asyncDispose]());

const run = (...args: string[]): Promise<Result> => app.run(...args);

test("import writes a file, and names the line and column of each rejected row", async () => {
  expect(await run("import", "Note", "notes.csv")).toMatchObject({
    exitCode: 0,
    stdout: "Note: 2 rows inserted\n",
    stderr: "",
  });
  const again = await run("import", "Note", "notes.csv");
  expect(again.exitCode).toBe(1);
  expect(again.stderr.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/^pylon: notes\.csv: line 2, column 2: ID_TAKEN: /),
    expect.stringMatching(/^pylon: notes\.csv: line 4, column 2: ID_TAKEN: /),
  ]);
  const broken = await run("import", "Note", "more.csv", "--upsert");
  expect(broken.exitCode).toBe(1);
  expect(broken.stderr).toContain(
    "Line 4, column 3 has a quoted text that does not end. " +
      "Before it, 1 row was written, and 1 row was rejected.",
  );
  const header = await run("import", "Note", "header.csv");
  expect(header.stderr).toContain(
    'Line 1, column 2: Note has no field "txet". No row was written. Did you mean "text"?',
  );
});

test("export writes a new file, or the standard output", async () => {
  const rows = 'id,text,stars\n"a","one again",1\n"b","=1+1",\n';
  expect(await run("export", "Note", "out.csv")).toMatchObject({
    exitCode: 0,
    stdout: "The rows of Note are in out.csv.\n",
  });
  expect(readFileSync(join(app.folder.path, "out.csv"), "utf8")).toBe(rows);
  expect(await run("export", "Note")).toMatchObject({ exitCode: 0, stdout: rows });
  await run("export", "Note", "sheet.csv", "--spreadsheet");
  expect(readFileSync(join(app.folder.path, "sheet.csv"), "utf8")).toBe(
    `\ufeff${rows.replace('"=1+1"', `"'=1+1"`)}`,
  );
  const back = await run("import", "Note", "out.csv", "--upsert", "--json");
  expect(JSON.parse(back.stdout)).toMatchObject({ code: "IMPORT_OK", updated: 2, failed: 0 });
});

test.each([
  [["import", "Note", "missing.csv"], 1, "IMPORT_FILE_READ"],
  [["import", "Note", "."], 1, "IMPORT_FILE_READ"],
  [["import", "Note"], 64, "USAGE"],
  [["import", "Nothing", "notes.csv"], 1, "ADMIN_REFUSED"],
  [["export", "Note", "taken.csv"], 1, "EXPORT_FILE_EXISTS"],
  [["export", "Note", "no-folder/a.csv"], 1, "EXPORT_FAILED"],
  [["export", "Nothing"], 1, "ADMIN_REFUSED"],
  [["export"], 64, "USAGE"],
])("%p is rejected", async (args, exitCode, code) => {
  const result = await run(...args, "--json");
  expect(result.exitCode).toBe(exitCode);
  expect(JSON.parse(result.stdout)).toMatchObject({ code });
  expect(readFileSync(join(app.folder.path, "taken.csv"), "utf8")).toBe("before");
  expect(existsSync(join(app.folder.path, "no-folder"))).toBe(false);
});

test("an export of which only the first lines are read ends without a failure", async () => {
  app.folder.write({ "many.csv": `text\n${"a text of some length\n".repeat(5_000)}` });
  expect(await run("import", "Note", "many.csv")).toMatchObject({ exitCode: 0 });
  const head = ["sh", "-c", '"$@" | head -n 1', "sh", ...COMMAND];
  const { folder, url, env } = app;
  expect(await pylon(["export", "Note", "--url", url], folder.path, env, head)).toEqual({
    exitCode: 0,
    stdout: "id,text,stars\n",
    stderr: "",
  });
});
