import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../support/run.ts";

// @pylonsync/testing as it is published, in tests of Node's own runner and of vitest: Node cannot
// run an app, so a Bun process runs it.

const ROOT = join(import.meta.dir, "..", "..");
const PACKAGES = [
  "testing",
  "functions",
  "workflows",
  "protocol",
  "query",
  "sdk",
  "server",
  "studio",
];
const dir = mkdtempSync(join(tmpdir(), "pylon-node-testing-"));

const TEST = `
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestApp } from "@pylonsync/testing";

test("an app in Node", async () => {
  const t = await createTestApp(new URL("./app", import.meta.url).pathname);
  const id = await t.run("add", { title: "milk" }, { as: "ann" });
  assert.equal(await t.as("ann").canRead("Todo", id), true);
  assert.equal(await t.as("bob").canRead("Todo", id), false);
  await assert.rejects(t.run("add", { title: 5 }, { as: "ann" }), { code: "INVALID_ARGS" });
  const full = { code: "FULL", data: { most: 9 } };
  await assert.rejects(t.run("add", { title: "too much" }, { as: "ann" }), full);
  const bytes = new Uint8Array([0, 255, 10]);
  const echo = await t.as("ann").fetch("/echo?n=1", { method: "PUT", body: bytes });
  assert.deepEqual(
    [echo.status, echo.headers.get("X-User"), new Uint8Array(await echo.arrayBuffer())],
    [201, "ann PUT 1", bytes],
  );
  await t.advance("1h");
  assert.deepEqual((await t.db.list("Todo")).map(({ title }) => title), ["milk", "later"]);
  await t.reset();
  assert.equal(await t.db.count("Todo"), 0);
  await assert.rejects(createTestApp({ manifest: {} }), /In Node, pass the app's folder/);
  await assert.rejects(createTestApp("./nothing"), /There is no app.ts/);
  // Nothing keeps the process alive: it exits without a close.
});
`;

const APP = `
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
export default buildManifest({
  name: "todo", version: "1.0.0",
  entities: [entity("Todo", { title: field.string(), ownerId: field.string().owner() })],
  policies: [policy({ name: "own", entity: "Todo", allow: "auth.userId == data.ownerId" })],
});
`;

const ADD = `
import { mutation, v } from "@pylonsync/functions";
export default mutation({
  args: { title: v.string() },
  errors: { FULL: { most: v.int() } },
  handler: async (ctx, { title }) => {
    if (title === "too much") throw ctx.error("FULL", "No more.", { most: 9 });
    if (title === "milk") await ctx.scheduler.runAfter(60_000, "add", { title: "later" });
    return ctx.db.insert("Todo", { title, ownerId: ctx.auth.userId ?? "nobody" });
  },
});
`;

const ECHO = `
import { http } from "@pylonsync/functions";
export default http({
  method: "*",
  path: "/echo",
  auth: "user",
  handler: async (request, ctx) => {
    const n = new URL(request.url).searchParams.get("n");
    const headers = { "X-User": [ctx.auth.userId, request.method, n].join(" ") };
    return new Response(await request.bytes(), { status: 201, headers });
  },
});
`;

beforeAll(async () => {
  await run(["node", join(ROOT, "scripts", "build-packages.mjs"), dir, ...PACKAGES]);
  const modules = join(dir, "node_modules");
  mkdirSync(join(modules, "@pylonsync"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (name !== "@pylonsync" && !name.startsWith("."))
      symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  for (const name of PACKAGES) {
    const folder = join(modules, "@pylonsync", name);
    mkdirSync(folder);
    const tarball = join(dir, `pylonsync-${name}-0.1.0.tgz`);
    await run(["tar", "-xzf", tarball, "--strip-components=1", "-C", folder]);
  }
  mkdirSync(join(dir, "app", "functions"), { recursive: true });
  writeFileSync(join(dir, "app", "app.ts"), APP);
  writeFileSync(join(dir, "app", "functions", "add.ts"), ADD);
  writeFileSync(join(dir, "app", "functions", "echo.ts"), ECHO);
  writeFileSync(join(dir, "app.test.mjs"), TEST);
  // A busy machine may need longer than vitest's own 5 seconds to start the app's process.
  const config = 'export default { test: { include: ["*.vitest.mjs"], testTimeout: 50_000 } };';
  writeFileSync(join(dir, "vitest.config.mjs"), config);
  writeFileSync(join(dir, "app.vitest.mjs"), TEST.replace("node:test", "vitest"));
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("tests of Node's runner have an app, its policies, its clock and its errors", async () => {
  const child = Bun.spawn(["node", "--test", join(dir, "app.test.mjs")], {
    cwd: dir,
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await new Response(child.stdout).text();
  expect(output).toContain("pass 1");
  expect(await child.exited).toBe(0);
}, 60_000);

test("tests of vitest have the same", async () => {
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const child = Bun.spawn(["node", vitest, "run", "--root", dir], {
    cwd: dir,
    env: { ...process.env, NO_COLOR: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await new Response(child.stdout).text();
  expect(output).toMatch(/Tests +1 passed/);
  expect(await child.exited).toBe(0);
}, 60_000);
