import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { Glob } from "bun";
import { defineCommand } from "../command.ts";
import { EXIT } from "../output.ts";
import { counted } from "../counted.ts";

const FILES = new Glob("**/*.test.{ts,tsx,js,jsx}");
/** The folders that may contain tests; the first existing one is used. */
const FOLDERS = ["tests", "functions"];

/**
 * Timeout of a test or hook, in milliseconds. Bun's default of 5 s is too short to start an app on
 * a busy machine.
 */
const TIMEOUT_MS = 30_000;

/** `pylon test`: runs an app's tests, each file in a separate process. */
export const test = defineCommand({
  name: "test",
  args: ["[FILTER]"],
  summary:
    "Run the app's tests in tests/, or without that folder in functions/, each file with " +
    "`bun test`.",
  options: {},
  async run({ args, output, env }) {
    const folder = env["PYLON_TEST_DIR"] ?? FOLDERS.find((name) => existsSync(name)) ?? "tests";
    const files = testFiles(folder).filter((file) => file.includes(args[0] ?? ""));
    if (files.length === 0) output.say(`No tests found in ${folder}.`);
    const results: { readonly file: string; readonly passed: boolean }[] = [];
    for (const file of files) {
      const passed = await runFile(file, env, output.isJson);
      results.push({ file, passed });
      output.say(`${passed ? "passed" : "FAILED"}  ${file}`);
    }
    const failed = results.filter(({ passed }) => !passed).length;
    if (files.length > 0)
      output.say(`${counted(files.length, "file")}, ${failed === 0 ? "none" : failed} failed.`);
    output.json({
      code: failed === 0 ? "TEST_OK" : "TEST_FAILED",
      total: results.length,
      passed: results.length - failed,
      failed,
      files: results,
    });
    return failed === 0 ? EXIT.OK : EXIT.FAILED;
  },
});

function testFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return [...FILES.scanSync({ cwd: folder })]
    .filter((file) => !file.split("/").includes("node_modules"))
    .map((file) => relative(".", join(folder, file)))
    .toSorted();
}

/** Each test has its own database, in memory. */
async function runFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  isJson: boolean,
): Promise<boolean> {
  const child = Bun.spawn([process.execPath, "test", `--timeout=${TIMEOUT_MS}`, `./${file}`], {
    env: {
      ...env,
      // The executable of `pylon` contains Bun, and acts as it with this variable.
      BUN_BE_BUN: "1",
      NODE_ENV: "test",
      PYLON_IN_MEMORY: "1",
      PYLON_DEV_MODE: "1",
    },
    stdin: "ignore",
    stdout: isJson ? "ignore" : "inherit",
    stderr: isJson ? "ignore" : "inherit",
  });
  return (await child.exited) === 0;
}
