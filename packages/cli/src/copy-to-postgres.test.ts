import { expect, test } from "bun:test";
import { Client } from "pg";
import { until } from "../../../tests/support/client.ts";
import { createDatabase, sharedPostgresUrl } from "../../../tests/support/servers/postgres.ts";
import { pylon, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

const APP = `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({
  name: "copied", version: "1.0.0", timestamps: true, references: "checked",
  entities: [
    entity("User", { email: field.email().unique(), displayName: field.string() }),
    entity("Note", {
      text: field.string().renamedFrom("body"),
      ownerId: field.id("User", { checked: false }).owner(),
      price: field.decimal(12, 2), day: field.date(), tags: field.array(field.string()),
      place: field.json(), bytes: field.bytes(),
      more: field.int().optional(), parentId: field.id("Note").optional(),
    }, { search: { fields: ["text"] } }),
  ],
  policies: [
    policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
    policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
  ],
});`;
const NOTE = {
  price: "-12.5",
  day: "2026-02-28",
  tags: ["a", "ü\u{1F600}", ""],
  place: { lat: 1.5, more: [null, { deep: true }] },
  bytes: "AAECAw==",
};
const ANN = { email: "ann@example.com", password: "correct horse battery" };

type Json = Readonly<Record<string, unknown>>;

/** Sends requests to a server. */
function callerOf(port: unknown, token = "") {
  return async (method: string, path: string, body?: unknown): Promise<Json> => {
    const response = await fetch(`http://localhost:${String(port)}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: token === "" ? {} : { Authorization: `Bearer ${token}` },
    });
    return (await response.json()) as Json;
  };
}

const serve = (folder: TempFolder, env: Readonly<Record<string, string>> = {}): PylonProcess =>
  new PylonProcess(["dev", "--json", "--port", "0"], folder.path, env);

async function copy(folder: TempFolder, url: string): Promise<Json> {
  const args = ["copy-to-postgres", "--yes", "--json"];
  const { exitCode, stdout } = await pylon(args, folder.path, { DATABASE_URL: url });
  return { exitCode, ...(JSON.parse(stdout) as Json) };
}

test("an app moves to Postgres with all rows, and its users stay signed in", async () => {
  using folder = new TempFolder();
  const older = APP.replace("text:", "body:")
    .replace('.renamedFrom("body")', "")
    .replace("more: field.int().optional(), ", "");
  folder.write({ "app.ts": older.replace('["text"]', '["body"]') });
  let token: string;
  {
    await using dev = serve(folder);
    const { port } = await dev.event();
    token = String((await callerOf(port)("POST", "/api/auth/password/register", ANN))["token"]);
    const call = callerOf(port, token);
    // More than a page, each row refers to the one before it.
    const rows = Array.from({ length: 501 }, (_, n) => ({
      ...NOTE,
      id: `n${String(n).padStart(4, "0")}`,
      body: `Note ${n}`,
      parentId: n === 0 ? null : `n${String(n - 1).padStart(4, "0")}`,
    }));
    const changes = rows.map(({ id, ...data }) => ({
      entity: "Note",
      row_id: id,
      kind: "insert",
      data,
    }));
    await call("POST", "/api/sync/push", { changes, results: true });
    expect(await copy(folder, await createDatabase(sharedPostgresUrl()))).toMatchObject({
      exitCode: 1,
      code: "COPY_IN_USE",
    });
    await dev.end();
  }
  const url = await createDatabase(sharedPostgresUrl());
  folder.write({ "app.ts": APP });
  expect(await copy(folder, url)).toMatchObject({ exitCode: 1, code: "COPY_NOT_MIGRATED" });
  expect((await pylon(["migrate", "apply", "--yes"], folder.path)).exitCode).toBe(0);
  const copied = await copy(folder, url);
  expect(copied).toMatchObject({ exitCode: 0, code: "COPY_OK", rows: { User: 1, Note: 501 } });
  expect(await copy(folder, url)).toMatchObject({ exitCode: 1, code: "COPY_NOT_EMPTY" });

  const [before, after] = [await seen(folder, token), await seen(folder, token, url)];
  expect(before.total).toBe(501);
  expect(before.found).toBe(1);
  expect(after).toEqual(before);
});

/** What a signed-in user sees, and whether the password is known. */
async function seen(folder: TempFolder, token: string, url?: string) {
  await using dev = serve(folder, url === undefined ? {} : { DATABASE_URL: url });
  const { port } = await dev.event();
  const call = callerOf(port, token);
  const { data, count } = await call("GET", "/api/entities/Note?limit=1000");
  const { total } = await call("POST", "/api/search/Note", { query: "500" });
  const { user_id: userId } = await call("GET", "/api/auth/me");
  const signIn = await callerOf(port)("POST", "/api/auth/password/login", ANN);
  const inserted = await call("POST", "/api/entities/Note", { ...NOTE, id: "new", text: "x" });
  await call("DELETE", "/api/entities/Note/new");
  await dev.end();
  return { rows: data, total: count, found: total, userId, as: signIn["user_id"], inserted };
}

test("says what is missing, and changes nothing", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP });
  expect(await copy(folder, "")).toMatchObject({ exitCode: 1, code: "COPY_NO_TARGET" });
  expect(await copy(folder, "postgres://localhost:1/none")).toMatchObject({
    exitCode: 1,
    code: "BACKUP_NO_DATABASE",
  });
});

/** Begins a copy, and kills it while it writes the notes. */
async function interruptCopy(folder: TempFolder, url: string): Promise<void> {
  const database = new Client({ connectionString: url });
  await database.connect();
  await database.query(`BEGIN; LOCK TABLE "Note" IN EXCLUSIVE MODE`);
  {
    await using _copy = new PylonProcess(["copy-to-postgres", "--yes"], folder.path, {
      DATABASE_URL: url,
    });
    const isWriting = `SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = relation
      WHERE relname = 'Note' AND NOT granted`;
    await until(async () => ((await database.query(isWriting)).rowCount ?? 0) > 0, 20_000);
  }
  await database.end();
}

test("no server starts on a part of a copy, and no copy continues it", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP });
  const url = await createDatabase(sharedPostgresUrl());
  {
    await using dev = serve(folder);
    const { port } = await dev.event();
    const { token } = await callerOf(port)("POST", "/api/auth/password/register", ANN);
    await callerOf(port, String(token))("POST", "/api/entities/Note", { ...NOTE, text: "x" });
    await dev.end();
  }
  // The tables exist before the copy.
  const applied = await pylon(["migrate", "apply", "--yes"], folder.path, { DATABASE_URL: url });
  expect(applied.exitCode).toBe(0);
  await interruptCopy(folder, url);
  const started = await pylon(["start", "--json", "--port", "0"], folder.path, {
    DATABASE_URL: url,
    PYLON_ADMIN_TOKEN: "a".repeat(40),
  });
  expect(started.exitCode).toBe(1);
  expect(started.stdout + started.stderr).toContain("A copy to this database was not finished.");
  expect(await copy(folder, url)).toMatchObject({ exitCode: 1, code: "COPY_NOT_EMPTY" });
});
