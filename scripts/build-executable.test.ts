import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  callFn,
  noteApp,
  pylon,
  PylonProcess,
  queryOf,
  TempFolder,
} from "../packages/cli/src/testing/pylon-process.ts";
import { TestClient, until } from "../tests/support/client.ts";
import { checkMerge } from "../tests/support/document-client.ts";
import { isRunning, mergersOf, readersOf } from "../tests/support/reader-processes.ts";
import { watchdogRuns } from "../tests/support/watchdog-thread.ts";

const folder = new TempFolder();
const EXECUTABLE = [join(folder.path, "bin", "pylon")];

beforeAll(async () => {
  const build = Bun.spawn(
    ["node", join(import.meta.dir, "build-executable.mjs"), EXECUTABLE[0] ?? ""],
    { stdout: "ignore", stderr: "inherit" },
  );
  expect(await build.exited).toBe(0);
}, 60_000);

afterAll(() => folder[Symbol.dispose]());

test("the executable creates an app outside the repository and serves it", async () => {
  expect((await pylon(["init", "made"], folder.path, {}, EXECUTABLE)).exitCode).toBe(0);
  await using dev = new PylonProcess(["dev", "made", "--port", "0"], folder.path, {}, EXECUTABLE);
  const { port } = await dev.event();
  expect(await callFn(port, "hello")).toMatchObject({ hello: "world" });
  folder.write({ "made/functions/hello.ts": queryOf("'saved'") });
  expect(await dev.event()).toMatchObject({ code: "DEV_OK" });
  expect(await callFn(port, "hello")).toBe("saved");
  expect(await dev.end()).toBe(0);
});

test("the executable contains the files of a deployment", async () => {
  folder.write({ "deployed/app.ts": noteApp("text: field.string()") });
  const { exitCode, stdout } = await pylon(
    ["deploy", "deployed", "--target", "sst", "--json"],
    folder.path,
    {},
    EXECUTABLE,
  );
  expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
    exitCode: 0,
    json: { code: "DEPLOY_OK" },
  });
  expect(await Bun.file(join(folder.path, "deployed", "infra", "service.ts")).text()).toContain(
    "createService",
  );
  expect(await Bun.file(join(folder.path, "deployed", "Dockerfile")).text()).toContain("pylon");
});

test("the executable restarts itself when a function blocks it", async () => {
  folder.write({
    "spin/app.ts": noteApp("text: field.string()"),
    "spin/functions/hello.ts": queryOf("'hello'"),
    "spin/functions/spin.ts": queryOf("(() => { for (;;); })()"),
  });
  await using server = new PylonProcess(
    ["start", "spin", "--port", "0"],
    folder.path,
    { PYLON_FN_CALL_TIMEOUT: "1" },
    EXECUTABLE,
  );
  const { port } = await server.event();
  await watchdogRuns(server.pid);
  const held = callFn(port, "spin").catch(() => "cut off");
  const again = await server.event();
  expect(await held).toBe("cut off");
  expect(await callFn(again["port"], "hello")).toBe("hello");
  // From then on it spins in a separate process, which is the same executable too.
  expect(JSON.stringify(await callFn(again["port"], "spin"))).toContain("FN_TIMEOUT");
  expect(await server.end()).toBe(0);
  expect(await server.stderr).toContain("in function spin. Restarting.");
});

test("D1: the executable reads in processes of the same executable", async () => {
  folder.write({ "reads/app.ts": noteApp("text: field.string()") });
  await using server = new PylonProcess(
    ["start", "reads", "--port", "0"],
    folder.path,
    {},
    EXECUTABLE,
  );
  const { port } = await server.event();
  // No index matches it.
  const answer = await fetch(`http://localhost:${String(port)}/api/query/Note`, {
    method: "POST",
    body: JSON.stringify({ text: { $like: "x" } }),
  });
  expect(await answer.json()).toEqual([]);
  const readers = readersOf(server.pid);
  expect(readers).toHaveLength(1);
  process.kill(server.pid, "SIGKILL");
  await until(() => !readers.some(isRunning));
});

test("the executable merges documents in a process of the same executable", async () => {
  folder.write({ "texts/app.ts": noteApp("text: field.richtext()") });
  await using server = new PylonProcess(
    ["start", "texts", "--port", "0"],
    folder.path,
    {},
    EXECUTABLE,
  );
  const { port } = await server.event();
  await checkMerge(await TestClient.guest(`http://127.0.0.1:${Number(port)}`));
  const mergers = mergersOf(server.pid);
  expect(mergers).toHaveLength(1);
  process.kill(server.pid, "SIGKILL");
  await until(() => !mergers.some(isRunning));
});

test("the executable does not compile itself again, and says what to do instead", async () => {
  const { exitCode, stdout } = await pylon(["compile", "--json"], folder.path, {}, EXECUTABLE);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    code: "COMPILE_IS_EXECUTABLE",
    message: expect.stringContaining(`copy ${EXECUTABLE[0] ?? ""}`),
  });
});

test("the executable serves in production, with a watchdog and threaded backups", async () => {
  folder.write({
    "app/app.ts": noteApp("text: field.string()"),
    "app/functions/hello.ts": queryOf("ctx.db.query('Note')"),
  });
  await using server = new PylonProcess(
    ["start", "app", "--port", "0"],
    folder.path,
    { PYLON_BACKUP_DIR: "copies" },
    EXECUTABLE,
  );
  const { port } = await server.event();
  await watchdogRuns(server.pid);
  expect(await callFn(port, "hello")).toEqual([]);
  const copies = join(folder.path, "copies");
  await until(async () =>
    readdirSync(copies).some((name) => existsSync(join(copies, name, "backup.json"))),
  );
  expect(await server.end()).toBe(0);
  expect(await server.stderr).not.toContain("rror");
});
