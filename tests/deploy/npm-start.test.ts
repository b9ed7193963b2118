import { test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteApp, TempFolder } from "../../packages/cli/src/testing/pylon-process.ts";
import { until } from "../support/client.ts";
import { freePort } from "../support/servers/free-port.ts";

const ROOT = join(import.meta.dir, "..", "..");

function isUp(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Runs an npm script that serves, ends npm itself, and waits until the server has ended. */
async function startAndEnd(cwd: string, args: readonly string[], port: number): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "pylon-npm-"));
  const npm = Bun.spawn(["npm", ...args], {
    cwd,
    env: {
      ...process.env,
      PYLON_DB_PATH: join(data, "data.db"),
      PYLON_SINGLE_PORT: "1",
      PYLON_DRAIN_DELAY_SECS: "0",
    },
    stdout: "ignore",
    stderr: "ignore",
  });
  await until(() => isUp(port), 20_000);
  // The signal is sent only to npm, as a supervisor would.
  npm.kill("SIGTERM");
  await npm.exited;
  await until(async () => !(await isUp(port)), 10_000);
  // The server may still be closing its files.
  rmSync(data, { recursive: true, force: true, maxRetries: 10 });
}

test("U: npm start of the repository ends the server on SIGTERM", async () => {
  const port = await freePort();
  await startAndEnd(ROOT, ["start", "--", "--port", String(port)], port);
}, 40_000);

test("U: npm start and npm run dev of an app end the server on SIGTERM", async () => {
  using folder = new TempFolder();
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "package.json": JSON.stringify({ scripts: { start: "pylon start", dev: "pylon dev" } }),
    "node_modules/.bin/keep": "",
  });
  symlinkSync(
    join(ROOT, "packages/cli/bin/pylon.mjs"),
    join(folder.path, "node_modules/.bin/pylon"),
  );
  for (const script of ["start", "dev"]) {
    const port = await freePort();
    await startAndEnd(folder.path, ["run", script, "--", "--port", String(port)], port);
  }
}, 40_000);
