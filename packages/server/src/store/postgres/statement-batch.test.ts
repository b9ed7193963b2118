import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "pg";
import { systemPlatform } from "../../platform.ts";
import {
  createDatabase,
  sharedPostgresUrl,
} from "../../../../../tests/support/servers/postgres.ts";
import { StatementRunner } from "./connection.ts";
import type { Parameter } from "./parameters.ts";
import type { Statement } from "./statement-batch.ts";

let client: Client;
const runner = new StatementRunner(null, null, systemPlatform);

beforeAll(async () => {
  client = new Client(await createDatabase(sharedPostgresUrl()));
  await client.connect();
  await client.query("CREATE TABLE numbers (n INT)");
});
afterAll(() => client.end());

function batch(...statements: readonly (readonly [string, ...Parameter[]])[]): Statement[] {
  return statements.map(([text, ...params]) => ({ text, params }));
}

test("the statements of a batch run in order, and each has its result", async () => {
  const insert = "INSERT INTO numbers SELECT unnest($1::int[]) RETURNING n";
  const all = batch([insert, [1, 2]], ["SELECT sum(n) AS sum FROM numbers"], [insert, [3]]);
  expect(await runner.runBatch(client, all)).toEqual([
    { rows: [{ n: 1 }, { n: 2 }], rowCount: 2 },
    { rows: [{ sum: 3 }], rowCount: 1 },
    { rows: [{ n: 3 }], rowCount: 1 },
  ]);
  await client.query("DELETE FROM numbers");
});

test("after a statement that fails, the rest of the batch has no effect", async () => {
  const insert = "INSERT INTO numbers VALUES ($1)";
  const isolation = "BEGIN ISOLATION LEVEL SERIALIZABLE";
  for (const failing of ["SELECT 1 / $1::int", "SELECT nothing WHERE $1 = 0"]) {
    const [begins, inside] = [
      batch([failing, 0], [isolation], [insert, 1]),
      batch([isolation], [insert, 1], [failing, 0], [insert, 2], ["COMMIT"]),
    ];
    for (const statements of [begins, inside]) {
      await expect(runner.runBatch(client, statements)).rejects.toThrow();
      await client.query("ROLLBACK");
      expect((await client.query("SELECT n FROM numbers")).rows).toEqual([]);
    }
  }
});

test("a statement can be used again after it has failed, or was skipped", async () => {
  const divide = "SELECT 6 / $1::int AS n";
  const other = "SELECT $1::int + 1 AS n";
  await expect(runner.runBatch(client, batch([divide, 0], [other, 1]))).rejects.toThrow("zero");
  const results = await runner.runBatch(client, batch([other, 1], [divide, 2], [other, 4]));
  expect(results.map(({ rows }) => rows)).toEqual([[{ n: 2 }], [{ n: 3 }], [{ n: 5 }]]);
});

test("rows have the same columns each time, or the statement fails", async () => {
  await client.query("CREATE TABLE pairs AS SELECT 1 AS a, NULL::text AS b");
  const select = "SELECT * FROM pairs WHERE a > $1::int";
  const first = await runner.run(client, select, [0]);
  expect(first).toEqual({ rows: [{ a: 1, b: null }], rowCount: 1 });
  expect(await runner.run(client, select, [0])).toEqual(first);
  expect(await runner.run(client, select, [1])).toEqual({ rows: [], rowCount: 0 });
  await client.query("ALTER TABLE pairs ADD COLUMN c INT; ALTER TABLE pairs DROP COLUMN a CASCADE");
  await client.query("ALTER TABLE pairs RENAME COLUMN c TO a; UPDATE pairs SET a = 2");
  await expect(runner.run(client, select, [0])).rejects.toMatchObject({ code: "0A000" });
});

test("parameters arrive unchanged", async () => {
  const texts = ['{"a": "b,c"}', String.raw`\"\\`, "", "NULL", "ä\n", null, "plain"];
  const { rows } = await runner.run(
    client,
    `SELECT $1::text[] AS texts, $2::bool[] AS flags, $3::float8[] AS numbers, $4::text AS text,
       $5::bool AS flag, $6::int AS number, $7::text AS nothing, $8::json AS json`,
    [texts, [true, null], [1.5, -2], 'a"b', false, 7, null, { list: [1, "2"] }],
  );
  expect(rows).toEqual([
    {
      texts,
      flags: [true, null],
      numbers: [1.5, -2],
      text: 'a"b',
      flag: false,
      number: 7,
      nothing: null,
      json: { list: [1, "2"] },
    },
  ]);
});
