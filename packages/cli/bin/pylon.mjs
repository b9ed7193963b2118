#!/usr/bin/env node
// Pylon runs on Bun, which comes with this package: Node only hands over to it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { whenOrphaned } from "./orphaned.mjs";
import { RUNTIME_ENV } from "./runtime-env.mjs";

const built = fileURLToPath(new URL("../dist/main.js", import.meta.url));
// In the repository nothing is built: there the sources run.
const main = existsSync(built) ? built : fileURLToPath(new URL("../src/main.ts", import.meta.url));

if (process.versions.bun === undefined) {
  const bun = join(
    dirname(createRequire(import.meta.url).resolve("bun/package.json")),
    "bin",
    "bun.exe",
  );
  // Environment files are read by `pylon dev` itself, and an app's imports install nothing.
  const child = spawn(bun, ["--no-env-file", "--no-install", main, ...process.argv.slice(2)], {
    env: { ...RUNTIME_ENV, ...process.env },
    stdio: "inherit",
  });
  // A supervisor's signals are for the server. Ctrl-C reaches it twice then, which it knows.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"])
    process.on(signal, () => child.kill(signal));
  whenOrphaned(() => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(`Bun does not start (${error.message}): install this package again.`);
    process.exit(69);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
} else {
  await import(main);
}
