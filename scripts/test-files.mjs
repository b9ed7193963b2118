// Finds the test files, and distributes them among processes.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const LEFT_OUT = new Set(["node_modules", "dist"]);
const TEST_FILE = /\.test\.tsx?$/;
/**
 * Tests of whole servers whose result depends on the store: they run on SQLite with all the others,
 * and on Postgres too.
 */
const ON_BOTH_STORES = [
  ...[
    "answers",
    "auth",
    "auth-account",
    "bad-input",
    "catch-up",
    "client",
    "conformance",
    "current-rows",
    "functions",
    "import",
    "isolation",
    "jobs",
    "limits",
    "live-feed",
    "live-queries",
    "live-values",
    "membership",
    "oauth",
    "observability",
    "organizations",
    "ported-apps",
    "privacy",
    "query-plans",
    "search",
    "second-factors",
    "snapshots",
    "socket-push",
    "telemetry",
    "values",
    "wire",
    "workflows",
  ].map((name) => new RegExp(`^tests/[^/]+/${name}\\.test\\.ts$`)),
  /^tests\/faults\/faults\.test\.ts$/,
  /^packages\/server\/src\/files\/files\.test\.ts$/,
  /^packages\/server\/src\/jobs\/(crons|job-table|queue-limits)\.test\.ts$/,
  /^tests\/live-oracle\/live-oracle\.test\.ts$/,
];
/**
 * Where the tests beside the code are unit tests: without a network, a page or a database server. A
 * test that needs tables has its own SQLite file.
 */
const UNIT_FOLDERS = [
  ...["query", "protocol", "sdk", "functions", "workflows", "sync", "loro", "studio"].map(
    (name) => `packages/${name}/src/`,
  ),
  ...[
    "schema",
    "policy",
    "data",
    "connections",
    "sync",
    "functions",
    "request",
    "identity",
    "config",
    "util",
    "rooms",
    "http",
    "observe",
    "monitoring",
    "workflows",
  ].map((name) => `packages/server/src/${name}/`),
  ...["auth", "files", "mail", "cache", "plugins"].map((name) => `packages/server/src/${name}/`),
  "packages/server/src/store/system-table.test.ts",
];
/** Text of a test that starts something nevertheless. */
const STARTS_SOMETHING = /\bBun\.(serve|spawn)|\b(createServer|spawn)\(|tests\/support\//;
/** They measure memory or response times, which a concurrent test would change. */
const ALONE = /(^|[/-])(memory|storms|small-container)\.test\.tsx?$/;
/** The target duration of a batch, in milliseconds: each costs the start of a process. */
const BATCH_MS = 15_000;
/**
 * The assumed duration of a file that has not been run here yet. Ten of them share a process, which
 * costs 0.3 s of CPU time before its first test.
 */
const UNKNOWN_MS = 1_500;
/** The same for a file of unit tests. */
const UNKNOWN_UNIT_MS = 500;
/**
 * The files that take long on any machine, so that a first run does not end with them: seconds by
 * path prefix.
 */
const KNOWN_SECONDS = {
  "deploy/docker/": 200,
  "deploy/sst/proof/": 150,
  "docs/code-blocks": 60,
  "docs/deploy/walkthrough": 60,
  "docs/quickstart": 60,
  "packages/cli/src/package": 100,
  "packages/cli/src/": 30,
  "packages/server/src/rooms/": 40,
  "packages/server/src/store/postgres/": 30,
  "tests/auth/auth-races": 35,
  "tests/client/next": 60,
  "tests/browser/arena": 35,
  "tests/browser/auth-forms": 45,
  "tests/browser/chat": 35,
  "tests/browser/offline": 60,
  "tests/live-oracle/": 40,
  "tests/replicas/redis": 45,
  "tests/replicas/replicas": 90,
  "tests/replicas/shared-rooms": 50,
  "tests/deploy/shutdown": 60,
};

/**
 * @typedef {object} Batch
 * @property {readonly string[]} files relative to the root
 * @property {"sqlite" | "postgres"} store
 * @property {boolean} isAlone nothing else may run at the same time
 */

/** @returns {string[]} the test files below the root whose path contains one of the patterns */
export function testFiles(root, patterns) {
  return [...filesBelow(root, "")]
    .filter((file) => TEST_FILE.test(file))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

/** @returns {string[]} the test files that need neither servers nor a browser */
export function unitTestFiles(root, patterns) {
  return testFiles(root, patterns).filter((file) => isUnitTest(root, file));
}

function isUnitTest(root, file) {
  return (
    UNIT_FOLDERS.some((folder) => file.startsWith(folder)) &&
    !STARTS_SOMETHING.test(readFileSync(join(root, file), "utf8"))
  );
}

/**
 * Distributes the files, the slowest first.
 *
 * @param {readonly string[]} files
 * @param {Durations} durations
 * @param {{ readonly onPostgres: boolean }} options whether the tests of whole servers run on
 *   Postgres too
 * @returns {Batch[]}
 */
export function batchesOf(files, durations, { onPostgres }) {
  const runs = [
    ...files.map((file) => ({ file, store: "sqlite" })),
    ...(onPostgres ? files.filter(isOnBothStores) : []).map((file) => ({
      file,
      store: "postgres",
    })),
  ].map((run) => ({ ...run, ms: durations.of(run.file, run.store) }));
  const batches = [];
  const open = new Map();
  for (const { file, store, ms } of runs.toSorted((a, b) => b.ms - a.ms)) {
    const isAlone = ALONE.test(file);
    const key = `${store} ${isAlone}`;
    let batch = open.get(key);
    if (batch === undefined || batch.ms + ms > BATCH_MS) {
      batch = { files: [], store, isAlone, ms: 0 };
      batches.push(batch);
      open.set(key, batch);
    }
    batch.files.push(file);
    batch.ms += ms;
  }
  return batches;
}

/** @returns {boolean} whether a test of whole servers runs on Postgres too */
function isOnBothStores(file) {
  return ON_BOTH_STORES.some((pattern) => pattern.test(file));
}

/** The duration of each file in its last run here. */
export class Durations {
  #root;
  #path;
  #known;

  /** @param {string} root */
  constructor(root) {
    this.#root = root;
    this.#path = join(root, "node_modules", ".cache", "pylon-test-durations.json");
    this.#known = readJson(this.#path);
  }

  /** @returns {number} milliseconds */
  of(file, store) {
    return this.#known[`${store} ${file}`] ?? assumedMs(this.#root, file);
  }

  record(file, store, ms) {
    this.#known[`${store} ${file}`] = Math.round(ms);
  }

  save() {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(this.#known));
  }
}

/** @returns {number} the assumed duration of a file that has not been run here yet */
function assumedMs(root, file) {
  const [, seconds] = Object.entries(KNOWN_SECONDS).find(([path]) => file.startsWith(path)) ?? [];
  if (seconds !== undefined) return seconds * 1000;
  return isUnitTest(root, file) ? UNKNOWN_UNIT_MS : UNKNOWN_MS;
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return {};
    throw error;
  }
}

/**
 * The paths of all files below a folder, relative to the root, except for hidden and built ones.
 */
export function* filesBelow(root, folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (LEFT_OUT.has(entry.name) || entry.name.startsWith(".")) continue;
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(root, path);
    else yield path;
  }
}
