import { afterAll, beforeAll, expect, test } from "bun:test";
import { noteApp, pylon, PylonProcess, TempFolder, type Result } from "./testing/pylon-process.ts";

const TOKEN = "canary-admin-token-of-this-test-0123";
const folder = new TempFolder();
let server: PylonProcess;
let url = "";

beforeAll(async () => {
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "seed.json": '{"Note": [{"id": "a", "text": "one"}, {"text": "two"}]}',
    "more.json": '{"Note": [{"id": "a", "text": "one again"}, {"text": 3}], "Nothing": [{}]}',
    "list.json": "[]",
    "broken.json": '{"Note": [',
  });
  server = new PylonProcess(["start", "--port", "0"], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });
  url = `http://127.0.0.1:${Number((await server.event())["port"])}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const seed = (...args: string[]): Promise<Result> =>
  pylon(["seed", ...args, "--url", url], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });

async function texts(): Promise<string[]> {
  const answer = await fetch(`${url}/api/entities/Note`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
  });
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
