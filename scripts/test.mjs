// npm test: installs missing packages, checks types and style, runs every test, and counts. `npm
// test -- PATTERN` runs only the test files whose path contains PATTERN.
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { once } from "node:events";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { batchesOf, Durations, testFiles } from "./test-files.mjs";
import { bun, findBrowser, installPackages, installTestPrograms, root, run } from "./install.mjs";

// The compiler and the linter are written in Go, and collect garbage too often for a short run.
process.env.GOGC ??= "400";
process.env.GOMEMLIMIT ??= "2GiB";

/**
 * For the tests that install packages: what is in npm's cache is not asked for again, which takes
 * seconds of CPU time for each installation.
 */
const NPM_SETTINGS = {
  npm_config_prefer_offline: "true",
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_update_notifier: "false",
};

/** More than one per core, because most tests wait for their own servers. */
const PROCESSES = availableParallelism() + 2;

installPackages();
// This imports a package, which may have been missing until now.
const { readReport } = await import("./test-report.mjs");
const browser = findBrowser();
const patterns = process.argv.slice(2);
if (patterns.length === 0) installTestPrograms();
const counts = { passed: 0, failed: 0, skipped: 0 };
/** Printed again at the end, where they are visible. */
const failures = [];

/** In one thread: several check the same types again, and the tests use the other cores. */
const TSC_OPTIONS = ["--noEmit", "--singleThreaded"];
/**
 * Checks of the sources themselves: a name and a command each. The commands are started directly,
 * because npm needs longer to start one than some checks take.
 */
const CHECKS = [
  // Before the tests: one of them builds this example, and writes into its folder in the meantime.
  ["types of the Next example", "tsc", [...TSC_OPTIONS, "-p", "examples/next-notes"]],
  ["types", "tsc", [...TSC_OPTIONS, "-p", "."]],
  ["types of the example", "tsc", [...TSC_OPTIONS, "-p", "examples/todo"]],
  ["types of the chat", "tsc", [...TSC_OPTIONS, "-p", "examples/chat"]],
  ["types of the notes", "tsc", [...TSC_OPTIONS, "-p", "examples/notes"]],
  ["types of the AI chat", "tsc", [...TSC_OPTIONS, "-p", "examples/ai-chat"]],
  ["types of the store", "tsc", [...TSC_OPTIONS, "-p", "examples/store"]],
  ["types of the game", "tsc", [...TSC_OPTIONS, "-p", "examples/arena-shard"]],
  ["types for Next", "tsc", [...TSC_OPTIONS, "-p", "packages/next"]],
  ["types of a registered app", "tsc", [...TSC_OPTIONS, "-p", "tests/types"]],
  ["types of an app with plugins", "tsc", [...TSC_OPTIONS, "-p", "tests/plugin-types"]],
  ["types of an app that hides them", "tsc", [...TSC_OPTIONS, "-p", "tests/erased-types"]],
  ["lint", "oxlint", ["--type-aware", "--deny-warnings"]],
  ["format", "oxfmt", ["--check"]],
];
const checks = patterns.length === 0 ? CHECKS : [];
const firstCheck = runChecks(checks.splice(0, 1));
const servers = await startServers();
const command = bundleCommand();
await firstCheck;
const durations = new Durations(root);
const batches = batchesOf(testFiles(root, patterns), durations, {
  onPostgres: patterns.length === 0,
});
const [shared, alone] = [false, true].map((isAlone) =>
  batches.filter((batch) => batch.isAlone === isAlone),
);
// Most tests wait more than they work, so the other checks run concurrently.
await Promise.all([runChecks(checks), ...Array.from({ length: PROCESSES }, () => runAll(shared))]);
await runAll(alone);
durations.save();
rmSync(command.folder, { recursive: true, force: true });
await servers.stop();
for (const failure of failures) console.log(`FAILED ${failure}`);
if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
if (browser === null && patterns.length === 0) {
  console.error(
    "There is no Chromium: set CHROMIUM_PATH to one. The browser tests did not run, which " +
      "counts as a failure.",
  );
  counts.failed += 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

async function runChecks(list) {
  for (const [name, command, args] of list) {
    const program = join(root, "node_modules", ".bin", command);
    const { status, output } = await runAside(program, args, process.env);
    process.stdout.write(`${output}${status === 0 ? "pass" : "FAIL"} ${name}\n`);
    counts[status === 0 ? "passed" : "failed"] += 1;
    if (status !== 0) failures.push(name);
  }
}

/**
 * Starts Postgres and Redis for the tests, unless variables name others; they are stopped with this
 * process.
 */
async function startServers() {
  const child = spawn(bun, ["tests/support/servers/main.ts"], {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const [line] = await Promise.race([
    createInterface({ input: child.stdout })
      [Symbol.asyncIterator]()
      .next()
      .then(({ value }) => [value]),
    ended.then(() => [undefined]),
  ]);
  if (line === undefined) {
    console.error("The servers for the tests did not start.");
    process.exit(1);
  }
  return {
    env: JSON.parse(line),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/**
 * Bundles the command as it is published, which the tests start: below node_modules, where it finds
 * the modules that it loads on demand, with its sources and templates beside it.
 */
function bundleCommand() {
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "pylon-command-"));
  // Some tests run the command as another user.
  chmodSync(folder, 0o755);
  const scripts = join("packages", "cli", "scripts");
  symlinkSync(join(root, "packages", "cli", "src"), join(folder, "src"));
  run(bun, [join(scripts, "templates.ts"), join(folder, "templates")]);
  run(bun, [join(scripts, "bundle.ts"), join(folder, "dist")]);
  return { folder, main: join(folder, "dist", "main.js") };
}

/** Runs the remaining batches, one at a time. */
async function runAll(left) {
  for (let batch = left.shift(); batch !== undefined; batch = left.shift()) await runBatch(batch);
}

async function runBatch({ files, store }) {
  const dir = mkdtempSync(join(tmpdir(), "pylon-test-"));
  const report = join(dir, "junit.xml");
  const args = [
    "test",
    "--timeout",
    "60000",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files.map((file) => `./${file}`),
  ];
  const { status, output } = await runAside(bun, args, {
    ...process.env,
    ...NPM_SETTINGS,
    ...servers.env,
    PYLON_TEST_COMMAND: command.main,
    ...(store === "postgres" ? { PYLON_TEST_STORE: store } : {}),
    ...(browser === null ? {} : { CHROMIUM_PATH: browser }),
  });
  process.stdout.write(store === "postgres" ? `On Postgres:\n${output}` : output);
  record(report, files, store, status);
  rmSync(dir, { recursive: true, force: true });
}

/** Counts the results of a batch. */
function record(report, files, store, status) {
  let failed = 0;
  try {
    const { passed, skipped, failures: found, seconds } = readReport(readFileSync(report, "utf8"));
    counts.passed += passed;
    counts.skipped += skipped;
    failed = found.length;
    for (const { file, name, why } of found)
      failures.push(`${file}: ${name}\n${why.replaceAll(/^/gm, "    ")}`);
    for (const [file, taken] of seconds) durations.record(file, store, taken * 1000);
  } catch (error) {
    console.error(`The test runner left no report: ${error.message}`);
  }
  // A file that does not even load is in no count of tests.
  if (status !== 0 && failed === 0) {
    failed = 1;
    failures.push(`the test runner exited with ${status}: ${files.join(", ")}`);
  }
  counts.failed += failed;
}

/** Runs a program and buffers its output, because others write at the same time. */
async function runAside(command, args, env) {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env });
  const chunks = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => chunks.push(data));
  const [status] = await once(child, "close");
  return { status, output: Buffer.concat(chunks).toString() };
}
