import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import { ADMIN_TOKEN, startServer, type TestServer } from "../support/server.ts";
import { FAMILIES } from "./families/index.ts";
import { runChecks } from "./run-checks.ts";

const MAIN = join(import.meta.dir, "main.ts");
const JWT_SECRET = "a secret for tests of more than thirty-two letters";

let server: TestServer;
/** Sends the same response to every request, and closes each socket. */
let fakeServer: ReturnType<typeof Bun.serve>;

beforeAll(async () => {
  const app = await loadApp(join(import.meta.dir, "app"), { dev: false });
  server = await startServer(app, { PYLON_JWT_SECRET: JWT_SECRET });
  fakeServer = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.endsWith("/api/auth/guest")
        ? Response.json({ token: "t", user_id: "u" }, { status: 201 })
        : Response.json({}),
  });
});
afterAll(async () => {
  await fakeServer.stop(true);
  await server.stop();
});

interface Exit {
  readonly code: number;
  readonly said: string;
}

async function kit(...args: readonly string[]): Promise<Exit> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...process.env, PYLON_ADMIN_TOKEN: "" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, said: out + err };
}

test.each(Object.entries(FAMILIES))("our server keeps all of %s", async (family, checks) => {
  const target = { url: server.url, adminToken: ADMIN_TOKEN };
  const results = await runChecks(target, { [family]: checks });
  expect(results.filter(({ outcome }) => outcome !== "pass")).toEqual([]);
  expect(results.length).toBe(Object.keys(checks).length);
});

test("a second run against the same server passes like the first one", async () => {
  const target = { url: server.url, adminToken: ADMIN_TOKEN };
  const results = await runChecks(target, FAMILIES);
  expect(results.filter(({ outcome }) => outcome !== "pass")).toEqual([]);
});

test("no check passes against a server that always sends the same response", async () => {
  const results = await runChecks({ url: fakeServer.url.href, adminToken: "x" }, FAMILIES);
  expect(results.filter(({ outcome }) => outcome !== "FAIL")).toEqual([]);
});

test("checks that need the admin token are skipped without it", async () => {
  const { transact = {} } = FAMILIES;
  const results = await runChecks({ url: server.url, adminToken: null }, { transact });
  const skipped = results.filter(({ outcome }) => outcome === "skip");
  expect(skipped.map(({ name, expected }) => [name, expected])).toEqual([
    ["a batch does each operation on its own", "needs --admin-token"],
    ["imported rows are exported", "needs --admin-token"],
  ]);
});

test("the command shows each check, and exits with 1 if one fails", async () => {
  const passed = await kit("--url", server.url, "--family", "http");
  expect(passed.said).toContain("pass  http       GET /health is exactly the status");
  expect(passed.code).toBe(0);
  const failed = await kit("--url", fakeServer.url.href, "--family", "http");
  expect(failed.said).toMatch(/FAIL {2}http .*\n +expected .*"status":"ok".*\n +got +.*\{\}/);
  expect(failed.code).toBe(1);
});

test("the command reports missing options, and an unreachable server", async () => {
  expect(await kit()).toMatchObject({ code: 64, said: expect.stringContaining("--url http://") });
  expect(await kit("--url", server.url, "--family", "none")).toMatchObject({
    code: 64,
    said: expect.stringContaining("There is no family none. Use http, entities"),
  });
  expect(await kit("--url", "http://127.0.0.1:1")).toMatchObject({
    code: 1,
    said: expect.stringContaining("does not answer as Pylon does"),
  });
});
