import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { TestClient } from "../support/client.ts";
import { startServer } from "../support/server.ts";

const data = mkdtempSync(join(tmpdir(), "pylon-deployment-"));
afterAll(() => rmSync(data, { recursive: true, force: true }));

/**
 * The variables as the public system's page on deployment prints them, for a volume at another
 * path.
 */
const PRINTED = {
  PYLON_DB_PATH: join(data, "pylon.db"),
  PYLON_FILES_DIR: join(data, "uploads"),
  PYLON_SESSION_DB: join(data, "sessions.db"),
  PYLON_DEV_MODE: "true",
  // Only for the tests, whose servers store nothing by default.
  PYLON_IN_MEMORY: "0",
};

test("a printed deployment stores rows, files and sessions on its volume", async () => {
  const app = await loadApp(join(import.meta.dir, "shop"), { dev: true });
  const before = await startServer(app, PRINTED);
  const guest = await TestClient.guest(before.url);
  expect((await guest.request("POST", "/api/fn/seedProducts", { count: 3 })).status).toBe(200);
  const headers = { "Content-Type": "text/plain", "X-Filename": "a.txt" };
  const { body: file } = await guest.request("POST", "/api/files/upload", "hello", headers);
  expect(before.server.diagnostics).toContainEqual(
    expect.objectContaining({
      code: "VARIABLE_NOT_READ",
      message: expect.stringContaining("PYLON_SESSION_DB"),
      hint: expect.stringContaining("Sessions and jobs are stored in the same database"),
    }),
  );
  await before.stop();

  // Sessions survive a restart, as the variable promises, wherever they are stored.
  const after = await startServer(app, PRINTED);
  const again = new TestClient(after.url, guest.token);
  expect((await again.request("GET", "/api/auth/me")).body["user_id"]).toBe(guest.userId);
  expect((await again.request("GET", "/api/entities/Product")).body["count"]).toBe(3);
  expect((await again.request("GET", String(file["url"]))).text).toBe("hello");
  await after.stop();
  expect(
    ["pylon.db", "uploads", "sessions.db"].map((name) => existsSync(join(data, name))),
  ).toEqual([true, true, false]);
});
