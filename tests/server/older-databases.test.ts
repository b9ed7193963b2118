// Databases that earlier versions wrote, one per version: databases/make.ts creates the next one.
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer } from "../support/server.ts";
import { notes } from "./databases/app.ts";

const DIR = join(import.meta.dir, "databases");
const files = readdirSync(DIR).filter((name) => name.endsWith(".db.gz"));

/** The next version of the app, which renames and adds fields. */
const next: Manifest = buildManifest({
  name: "notes",
  version: "2.0.0",
  access: "public",
  entities: [
    entity("Team", { name: field.string().unique() }),
    entity(
      "Page",
      {
        heading: field.string().renamedFrom("title"),
        rank: field.int().default(0),
        slug: field.string().backfill((row) => `${String(row["heading"])} ${String(row["rank"])}`),
        teamId: field.id("Team", { onDelete: "cascade" }),
      },
      { renamedFrom: "Note" },
    ),
  ],
});

test("there is a database of an earlier version", () => expect(files).not.toEqual([]));

test.each(files)("%s is opened with all its data, and can be migrated", async (name) => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-older-"));
  const path = join(dir, "app.db");
  writeFileSync(path, Bun.gunzipSync(readFileSync(join(DIR, name))));
  const serve = (app: Manifest) =>
    startServer(appOf(app), { PYLON_DB_PATH: path, PYLON_IN_MEMORY: "0" });
  try {
    const server = await serve(notes);
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    const found = await admin.request("POST", "/api/query/Note", { $order: { rank: "asc" } });
    expect(found.body).toMatchObject([
      {
        id: "first",
        title: "Buy milk",
        done: false,
        rank: 1,
        size: 0.5,
        due: "2026-01-31T12:00:00.000Z",
        tags: ["a", "b"],
        extra: { n: [1, null] },
        teamId: "red",
      },
      { id: "second", title: "Café", done: true, rank: 9, size: null, tags: null },
    ]);
    const hits = await admin.request("POST", "/api/search/Note", { query: "cafe" });
    expect(hits.body["hits"]).toMatchObject([{ id: "second" }]);
    const twice = await admin.request("POST", "/api/entities/Team", { name: "Red" });
    expect(twice.body).toMatchObject({ error: { code: "UNIQUE_VIOLATION" } });
    const pulled = await admin.request("GET", "/api/sync/pull?since=0");
    expect(pulled.text).toContain("Buy milk");
    expect(server.server.diagnostics).toEqual([]);
    await server.stop();

    const later = await serve(next);
    const client = new TestClient(later.url, ADMIN_TOKEN);
    const pages = await client.request("POST", "/api/query/Page", { $order: { rank: "asc" } });
    expect(pages.body).toMatchObject([
      { id: "first", heading: "Buy milk", slug: "Buy milk 1" },
      { id: "second", heading: "Café", slug: "Café 9" },
    ]);
    await client.request("DELETE", "/api/entities/Team/red");
    expect((await client.request("POST", "/api/query/Page", {})).text).toBe("[]");
    await later.stop();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
