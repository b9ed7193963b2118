// npm test: installs what is missing, checks types and style, runs every test, and counts.
// `npm test -- PATTERN` runs only the test files whose path contains PATTERN.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bun, findBrowser, installPackages, root } from "./install.mjs";

/**
 * Tests of whole servers whose outcome depends on the store; they run on SQLite with all the
 * others, and on Postgres after that.
 */
const ON_BOTH_STORES = [
  ...[
    "auth",
    "auth-account",
    "bad-input",
    "catch-up",
    "client",
    "faults",
    "functions",
    "import",
    "membership",
    "oauth",
    "observability",
    "organizations",
    "privacy",
    "second-factors",
    "telemetry",
    "wire",
  ].map((name) => `tests/${name}`),
  "files/files",
];

installPackages();
// A package reads the report, and may have been missing until now.
const { readReport } = await import("./test-report.mjs");
const browser = findBrowser();
const patterns = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };
/** Said again at the end, where they are seen. */
const failures = [];

if (patterns.length === 0) {
  check("types", "npx", ["tsc", "--noEmit", "-p", "."]);
  check("types of the example", "npx", ["tsc", "--noEmit", "-p", "examples/todo"]);
  check("types for Next", "npx", ["tsc", "--noEmit", "-p", "packages/next"]);
  check("types of the Next example", "npx", ["tsc", "--noEmit", "-p", "examples/next-notes"]);
  check("types of a registered app", "npx", ["tsc", "--noEmit", "-p", "tests/types"]);
  check("lint", "npm", ["run", "--silent", "lint"]);
  check("format", "npm", ["run", "--silent", "format:check"]);
}
const servers = await startServers();
runTests({}, patterns);
if (patterns.length === 0) {
  console.log("The tests of whole servers, on Postgres:");
  runTests(
    { PYLON_TEST_STORE: "postgres" },
    ON_BOTH_STORES.map((name) => `${name}.test.ts`),
  );
}
await servers.stop();
for (const failure of failures) console.log(`FAILED ${failure}`);
if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
if (browser === null && patterns.length === 0) {
  console.error(
    "There is no Chromium: set CHROMIUM_PATH to one. The browser tests did not run, which counts as a failure.",
  );
  counts.failed += 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

function check(name, command, args) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  console.log(`${status === 0 ? "pass" : "FAIL"} ${name}`);
  counts[status === 0 ? "passed" : "failed"] += 1;
  if (status !== 0) failures.push(name);
}

/** Postgres and Redis for the tests, where no variable names others; gone when this process is. */
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

function runTests(variables, patterns) {
  const dir = mkdtempSync(join(tmpdir(), "pylon-test-"));
  const report = join(dir, "junit.xml");
  const args = [
    "test",
    "--timeout",
    "60000",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...patterns,
  ];
  const env = {
    ...process.env,
    ...servers.env,
    ...variables,
    ...(browser === null ? {} : { CHROMIUM_PATH: browser }),
  };
  const { status } = spawnSync(bun, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env,
  });
  try {
    const { passed, skipped, failures: found } = readReport(readFileSync(report, "utf8"));
    counts.passed += passed;
    counts.skipped += skipped;
    counts.failed += found.length;
    for (const { file, name, why } of found)
      failures.push(`${file}: ${name}\n${why.replaceAll(/^/gm, "    ")}`);
  } catch (error) {
    console.error(`The test runner left no report: ${error.message}`);
  }
  // A file that does not even load is in no count of tests.
  if (status !== 0 && counts.failed === 0) counts.failed += 1;
  rmSync(dir, { recursive: true, force: true });
}
