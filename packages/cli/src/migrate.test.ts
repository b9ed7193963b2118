import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { noteApp, pylon, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

async function migrate(
  folder: TempFolder,
  ...args: string[]
): Promise<{ exitCode: number; json: unknown }> {
  const { exitCode, stdout } = await pylon(["migrate", ...args, "--json"], folder.path);
  return { exitCode, json: JSON.parse(stdout) };
}

test("a plan shows the steps and changes nothing; apply takes them", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  for (const args of [["plan"], ["--plan"], []]) {
    expect(await migrate(folder, ...args)).toMatchObject({
      exitCode: 0,
      json: { code: "MIGRATE_PLAN", pending: 1, destructive: false },
    });
  }
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 0,
    json: { code: "MIGRATE_OK", applied: 1 },
  });
  expect(await migrate(folder, "status")).toMatchObject({ json: { pending: 0 } });
});

test("types are converted and fields filled, but not renames, and status reports it", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await migrate(folder, "apply", "--yes");
  using database = new Database(join(folder.path, ".pylon", "dev.db"));
  database.run(`INSERT INTO "Note" (id, "text") VALUES ('a', '12 cm')`);
  const length = "length: field.int().renamedFrom('text').convert(Number.parseFloat)";
  folder.write({ "app.ts": noteApp(`${length}, label: field.string().backfill(({ id }) => id)`) });
  const plan = await pylon(["migrate", "plan"], folder.path);
  expect(plan.stdout).toContain("Note.length is in the column text.");
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 0,
    json: { applied: 3 },
  });
  expect(await migrate(folder, "status")).toMatchObject({
    json: {
      pending: 0,
      migrations: [{ steps: [/convert/, /add/, /fill/].map(stepLike) }, { app_version: "1.0.0" }],
      backfills: [{ field: "Note.label", filled: 1 }],
    },
  });
  expect(database.query(`SELECT * FROM "Note"`).values()).toEqual([["a", 12, "a"]]);
});

function stepLike(words: RegExp): unknown {
  return expect.stringMatching(words);
}

test("create writes a data migration, plan shows it until a server has run it", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  const made = await migrate(folder, "create", "Fill-states");
  const { file } = made.json as { file: string };
  expect(file).toMatch(/^migrations\/\d{8}_\d{6}_fill_states\.ts$/);
  const name = file.slice("migrations/".length, -".ts".length);
  const pending = { name, state: "pending", rows: 0 };
  for (const action of ["plan", "status", "list"])
    expect(await migrate(folder, action)).toMatchObject({
      exitCode: 0,
      json: { data_migrations: [pending] },
    });
  const plan = await pylon(["migrate", "plan"], folder.path);
  expect(plan.stdout).toContain(`${name}: runs when the next server starts`);
  expect((await pylon(["build"], folder.path)).exitCode).toBe(0);
  folder.write({ [file]: "export default 1;" });
  const wrong = await pylon(["migrate", "plan"], folder.path);
  expect([wrong.exitCode, wrong.stderr]).toEqual([
    1,
    expect.stringContaining(`${file} exports no data migration`),
  ]);
});

test("a step that loses data is rejected until it is requested by name", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string(), extra: field.string().optional()") });
  await migrate(folder, "apply", "--yes");
  folder.write({ "app.ts": noteApp("text: field.string()") });
  expect(await migrate(folder, "plan")).toMatchObject({
    json: { destructive: true, steps: [{ destructive: true }] },
  });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "MIGRATE_DESTRUCTIVE" },
  });
  expect(await migrate(folder, "status")).toMatchObject({ json: { pending: 1 } });
  expect(await migrate(folder, "apply", "--yes", "--allow-destructive")).toMatchObject({
    exitCode: 0,
    json: { applied: 1 },
  });
});

test("a conversion is applied without dropping what the app no longer declares", async () => {
  using folder = new TempFolder();
  const before = "text: field.string(), extra: field.string().optional()";
  folder.write({ "app.ts": noteApp(before) });
  await migrate(folder, "apply", "--yes");
  using database = new Database(join(folder.path, ".pylon", "dev.db"));
  database.run(`INSERT INTO "Note" (id, "text", "extra") VALUES ('a', '12', 'kept')`);
  const text = "text: field.int().convert(Number), label: field.string().backfill(({ id }) => id)";
  folder.write({ "app.ts": noteApp(text) });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 0,
    json: { applied: 3, steps: Array.from({ length: 3 }, () => ({ destructive: false })) },
  });
  const row = { id: "a", text: 12, label: "a", extra: "kept" };
  expect(database.query(`SELECT * FROM "Note"`).all()).toEqual([row]);
  expect(await migrate(folder, "plan")).toMatchObject({
    json: { pending: 1, steps: [{ step: expect.stringContaining("drop Note.extra") }] },
  });
  folder.write({ "app.ts": noteApp("text: field.int().convert(Number), extra: field.string()") });
  expect(await migrate(folder, "plan")).toMatchObject({ exitCode: 0 });
});

test("a conversion waits until no server reads the old values; an addition does not", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await using server = new PylonProcess(["start", "--json", "--port", "0"], folder.path);
  await server.event();
  const added = "text: field.string(), more: field.int().optional()";
  folder.write({ "app.ts": noteApp(added) });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({ json: { applied: 1 } });
  folder.write({ "app.ts": noteApp("text: field.int().convert(Number.parseFloat)") });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "MIGRATE_IN_USE" },
  });
  await server.end();
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 0,
    json: { code: "MIGRATE_OK", applied: 1 },
  });
});

test("a required field without a default can't be added to existing rows", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  await migrate(folder, "apply", "--yes");
  folder.write({ "app.ts": noteApp("text: field.string(), due: field.datetime()") });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "MIGRATE_BLOCKED" },
  });
});

test("a plan lists rows that refer to missing rows, each time", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp('text: field.string(), on: field.id("Note").optional()') });
  await migrate(folder, "apply", "--yes");
  using database = new Database(join(folder.path, ".pylon", "dev.db"));
  database.run(`INSERT INTO "Note" (id, "text", "on") VALUES ('a', '', 'b'), ('c', '', 'a')`);
  folder.write({
    "app.ts": noteApp(
      'text: field.string(), on: field.id("Note", { onDelete: "setNull" }).optional()',
    ),
  });
  const orphans = {
    code: "SCHEMA_ORPHANS",
    path: "Note.on",
    message: 'Note.on refers to a Note that does not exist in 1 row, such as the row "a".',
  };
  expect(await migrate(folder, "plan")).toMatchObject({
    exitCode: 0,
    json: { pending: 1, notices: [orphans] },
  });
  expect(await migrate(folder, "apply", "--yes")).toMatchObject({ exitCode: 0 });
  expect(await migrate(folder, "plan")).toMatchObject({ json: { pending: 0, notices: [orphans] } });
  const { stdout } = await pylon(["migrate", "plan"], folder.path);
  expect(stdout).toContain("is up to date with the app's schema");
});

describe("with existing rows", () => {
  /** An app whose database contains notes with these texts. */
  async function filled(...texts: string[]): Promise<TempFolder> {
    const folder = new TempFolder();
    folder.write({ "app.ts": noteApp("text: field.string()") });
    await migrate(folder, "apply", "--yes");
    using database = new Database(join(folder.path, ".pylon", "dev.db"));
    const insert = database.prepare(`INSERT INTO "Note" (id, "text") VALUES (?, ?)`);
    for (const [index, text] of texts.entries()) insert.run(`note${index}`, text);
    return folder;
  }

  test.each([
    [
      "Q3: a field's name in another case",
      "Text: field.string().optional()",
      "SCHEMA_NAME_DIFFERS_IN_CASE",
    ],
    [
      "Q3: a field named ID",
      "text: field.string(), ID: field.string().optional()",
      "FIELD_NAME_RESERVED",
    ],
    [
      "Q3: a field named as a column of Postgres",
      "text: field.string(), ctid: field.string().optional()",
      "FIELD_NAME_RESERVED",
    ],
    [
      "Q4: a unique field over duplicates",
      "text: field.string().unique()",
      "SCHEMA_VALUES_NOT_UNIQUE",
    ],
    [
      "Q5: a type that values have no equal in",
      "text: field.int()",
      "SCHEMA_VALUES_NOT_CONVERTIBLE",
    ],
  ])("%s is found by plan, dev --once and start, in a sentence", async (_, fields, code) => {
    using folder = await filled("a", "a", "12");
    folder.write({ "app.ts": noteApp(fields) });
    const plan = await pylon(["migrate", "plan"], folder.path);
    expect({ exitCode: plan.exitCode, text: plan.stdout + plan.stderr }).toMatchObject({
      exitCode: 1,
      text: expect.stringContaining(code),
    });
    const once = await pylon(["dev", "--once", "--json"], folder.path);
    expect(once.exitCode).toBe(1);
    expect(once.stdout).toContain(code);
    const env = { PYLON_DB_PATH: join(folder.path, ".pylon", "dev.db"), PYLON_PORT: "0" };
    const start = await pylon(["start"], folder.path, env);
    expect(start.exitCode).not.toBe(0);
    expect(start.stderr).not.toMatch(/ at \S+:\d+|SQLITE_/);
    expect(await migrate(folder, "apply", "--yes", "--allow-destructive")).toMatchObject({
      exitCode: 1,
    });
  });

  test("U: the plan shows whole ids, long values in quotes, rejected steps clearly", async () => {
    const id = "0".repeat(40);
    using folder = await filled(id, id, "long ".repeat(20), "long ".repeat(20));
    folder.write({ "app.ts": noteApp("text: field.string().unique()") });
    const unique = await pylon(["migrate", "plan"], folder.path);
    expect(unique.stderr).toContain(`"${id}" in 2 rows`);
    expect(unique.stderr).toContain('"long long long long long long long long ..." in 2 rows');
    folder.write({ "app.ts": noteApp("text: field.int()") });
    const retyped = await pylon(["migrate", "plan"], folder.path);
    expect(retyped.stdout).toMatch(/can't be converted, such as/);
  });

  test("Q3: an entity's name in another case is found", async () => {
    using folder = await filled("a");
    folder.write({ "app.ts": noteApp("text: field.string()").replaceAll('"Note"', '"note"') });
    expect(await migrate(folder, "plan")).toMatchObject({
      exitCode: 1,
      json: { problems: [{ code: "SCHEMA_NAME_DIFFERS_IN_CASE" }] },
    });
  });

  test("Q5: the plan counts values that become null, and apply does exactly that", async () => {
    using folder = await filled("12", "12.90", "on request");
    folder.write({ "app.ts": noteApp("text: field.int().optional()") });
    expect(await migrate(folder, "plan")).toMatchObject({
      exitCode: 0,
      json: {
        destructive: true,
        steps: [{ step: expect.stringContaining("2 values can't be converted and become null") }],
      },
    });
    expect(await migrate(folder, "apply", "--yes", "--allow-destructive")).toMatchObject({
      exitCode: 0,
    });
    using database = new Database(join(folder.path, ".pylon", "dev.db"), { readonly: true });
    expect(database.query(`SELECT "text" FROM "Note" ORDER BY id`).values()).toEqual([
      [12],
      [null],
      [null],
    ]);
  });
});
