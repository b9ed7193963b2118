import { expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pylon, PylonProcess, TempFolder } from "./testing/pylon-process.ts";

const APP = `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({
  name: "kept", version: "1.0.0",
  entities: [entity("Note", { text: field.string(), paper: field.file().optional() })],
  policies: [policy({ name: "members", entity: "Note", allow: "auth.userId != null" })],
});`;

type Json = Readonly<Record<string, unknown>>;

/** A client of a running server. */
class Caller {
  readonly #url: string;
  token = "";

  constructor(port: unknown, token?: string) {
    this.#url = `http://localhost:${String(port)}`;
    this.token = token ?? "";
  }

  async json(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const response = await this.send(
      method,
      path,
      body === undefined ? undefined : JSON.stringify(body),
    );
    return { status: response.status, body: (await response.json()) as Json };
  }
  send(
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(this.#url + path, {
      method,
      ...(body === undefined ? {} : { body }),
      headers: {
        ...headers,
        ...(this.token === "" ? {} : { Authorization: `Bearer ${this.token}` }),
      },
    });
  }
  async signIn(): Promise<this> {
    this.token = String((await this.json("POST", "/api/auth/guest")).body["token"]);
    return this;
  }
  async note(text: string): Promise<void> {
    expect((await this.json("POST", "/api/entities/Note", { id: text, text })).status).toBe(201);
  }
  async notes(): Promise<unknown[]> {
    return ((await this.json("GET", "/api/entities/Note")).body["data"] as Json[]).map(
      ({ text }) => text,
    );
  }
}

const run = async (
  folder: TempFolder,
  ...args: string[]
): Promise<{ exitCode: number; json: Json }> => {
  const { exitCode, stdout } = await pylon([...args, "--json"], folder.path);
  return { exitCode, json: JSON.parse(stdout) as Json };
};
const serve = (folder: TempFolder): PylonProcess =>
  new PylonProcess(["dev", "--port", "0"], folder.path);

test("a backup of a served app restores rows, files, sessions; clients resync", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP });
  let token = "";
  let file = "";
  let cursor: Json = {};
  {
    await using dev = serve(folder);
    const user = await new Caller((await dev.event())["port"]).signIn();
    token = user.token;
    await user.note("before");
    file = String(
      (
        (await (
          await user.send("POST", "/api/files/upload", "on paper", {
            "X-Filename": "paper.txt",
            "Content-Type": "text/plain",
          })
        ).json()) as Json
      )["id"],
    );
    expect((await user.json("PATCH", "/api/entities/Note/before", { paper: file })).status).toBe(
      200,
    );
    expect(await run(folder, "backup", "copy")).toMatchObject({
      exitCode: 0,
      json: { code: "BACKUP_OK", db: true, manifest: true, uploaded_files: 1 },
    });
    await user.note("after");
    cursor = (await user.json("GET", "/api/sync/pull?since=0")).body;
    expect(await run(folder, "restore", "copy", "--yes")).toMatchObject({
      exitCode: 1,
      json: { code: "RESTORE_IN_USE" },
    });
    expect(await dev.end()).toBe(0);
  }
  const { json } = await run(folder, "restore", "copy", "--yes");
  expect(json).toMatchObject({ code: "RESTORE_OK", ok: true, restored_files: 1 });
  for (const path of json["kept"] as string[]) expect(existsSync(path)).toBe(true);
  await using dev = serve(folder);
  const user = new Caller((await dev.event())["port"], token);
  expect(await user.notes()).toEqual(["before"]);
  expect(await (await user.send("GET", `/api/files/${file}`)).text()).toBe("on paper");
  // Neither the client's later changes nor their numbers may be confused with those that follow.
  const { last_seq: since } = cursor["cursor"] as { last_seq: number };
  await user.note("later");
  for (const query of [
    `since=${since}`,
    `since=${since}&epoch=${String(cursor["epoch"])}`,
    `since=${since + 1}`,
  ]) {
    expect(await user.json("GET", `/api/sync/pull?${query}`)).toMatchObject({
      status: 410,
      body: { error: { code: "RESYNC_REQUIRED" } },
    });
  }
  expect(JSON.stringify((await user.json("GET", "/api/sync/pull?since=0")).body)).toContain(
    "later",
  );
});

test("a damaged, a foreign and a missing backup are rejected, and change nothing", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP });
  expect((await run(folder, "migrate", "apply", "--yes")).exitCode).toBe(0);
  expect((await run(folder, "backup", "copy")).exitCode).toBe(0);
  const before = readFileSync(join(folder.path, ".pylon", "dev.db"));
  const untouched = (): void => {
    expect(readFileSync(join(folder.path, ".pylon", "dev.db")).equals(before)).toBe(true);
    expect(
      readdirSync(join(folder.path, ".pylon")).filter(
        (name) => name.includes("restoring") || name.includes("before-"),
      ),
    ).toEqual([]);
  };
  expect(await run(folder, "restore", "nothing", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "RESTORE_NO_BACKUP" },
  });
  appendFileSync(join(folder.path, "copy", "pylon.db"), "x");
  expect(await run(folder, "restore", "copy", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "RESTORE_DAMAGED" },
  });
  folder.write({ "copy/backup.json": JSON.stringify({ layout: 99, files: {} }) });
  expect(await run(folder, "restore", "copy", "--yes")).toMatchObject({
    exitCode: 1,
    json: { code: "RESTORE_LAYOUT" },
  });
  untouched();
});

test("a backup requires a new folder and an existing database", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP, "taken/file": "" });
  expect(await run(folder, "backup", "copy")).toMatchObject({
    exitCode: 1,
    json: { code: "BACKUP_NO_DATABASE" },
  });
  expect(await run(folder, "backup", "taken")).toMatchObject({
    exitCode: 1,
    json: { code: "BACKUP_TARGET_EXISTS" },
  });
  expect(await run(folder, "backup")).toMatchObject({
    exitCode: 64,
    json: { code: "BACKUP_NO_TARGET" },
  });
  expect(readdirSync(folder.path).toSorted()).toEqual(["app.ts", "taken"]);
  const { exitCode, stdout } = await pylon(["backup", "copy", "--json"], folder.path, {
    DATABASE_URL: "postgres://localhost/app",
  });
  expect({ exitCode, json: JSON.parse(stdout) as Json }).toMatchObject({
    exitCode: 1,
    json: { code: "BACKUP_NOT_SQLITE" },
  });
});

test("after a restore by other means clients are told to start over", async () => {
  using folder = new TempFolder();
  folder.write({ "app.ts": APP });
  let user: Caller;
  {
    await using dev = serve(folder);
    user = await new Caller((await dev.event())["port"]).signIn();
    await user.note("a");
    expect((await user.json("GET", "/api/sync/pull?since=1")).status).toBe(200);
    expect(await run(folder, "resync", "--yes")).toMatchObject({
      exitCode: 1,
      json: { code: "RESYNC_IN_USE" },
    });
    await dev.end();
  }
  expect(await run(folder, "resync", "--yes")).toMatchObject({
    exitCode: 0,
    json: { code: "RESYNC_OK" },
  });
  await using dev = serve(folder);
  expect(
    (
      await new Caller((await dev.event())["port"], user.token).json(
        "GET",
        "/api/sync/pull?since=1",
      )
    ).status,
  ).toBe(410);
});
