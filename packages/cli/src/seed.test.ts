import { afterAll, beforeAll, expect, test } from "bun:test";
import { noteApp, type Result } from "./testing/pylon-process.ts";
import { ServedApp } from "./testing/served-app.ts";

let app: ServedApp;

beforeAll(async () => {
  app = await ServedApp.start({
    "app.ts": noteApp("text: field.string()"),
    "seed.json": '{"Note": [{"id": "a", "text": "one"}, {"text": "two"}]}',
    "more.json": '{"Note": [{"id": "a", "text": "one again"}, {"text": 3}], "Nothing": [{}]}',
    "list.json": "[]",
    "broken.json": '{"Note": [',
  });
});
afterAll(() => app[Symbol.asyncDispose]());

const seed = (...args: string[]): Promise<Result> => app.run("seed", ...args);

async function texts(): Promise<string[]> {
  const answer = await app.get("/api/entities/Note");
  const { data } = (await answer.json()) as { data: { text: string }[] };
  return data.map(({ text }) => text).toSorted();
}

test("seed writes seed.json, and the second time reports the existing rows", async () => {
  const first = await seed();
  expect(first).toMatchObject({ exitCode: 0, stdout: "Note: 2 rows inserted\n", stderr: "" });
  expect(await texts()).toEqual(["one", "two"]);
  const again = await seed("--file", "more.json");
  expect(again.exitCode).toBe(1);
  expect(again.stderr.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/^pylon: more\.json: row 1 of Note: ID_TAKEN: /),
    expect.stringMatching(/^pylon: more\.json: row 2 of Note: INVALID_DATA: /),
    expect.stringMatching(/^pylon: more\.json: row 1 of Nothing: ENTITY_NOT_FOUND: /),
  ]);
  expect(await texts()).toEqual(["one", "two"]);
});

test("seed --upsert can be run again, and prints JSON", async () => {
  const { exitCode, stdout } = await seed("--file", "more.json", "--upsert", "--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code: "SEED_PARTIAL", updated: 1, failed: 2 });
  expect(await texts()).toContain("one again");
});

test.each([
  ["missing.json", "SEED_FILE_READ"],
  ["broken.json", "SEED_INVALID_JSON"],
  ["list.json", "SEED_INVALID_JSON"],
])("seed --file %s is rejected with %s", async (file, code) => {
  const { exitCode, stdout } = await seed("--file", file, "--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ code });
});
