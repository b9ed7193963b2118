// The command as it is published, serving the todo example, against a bare Bun server: the time
// from the start of the process to the first healthy response, and its memory when idle, which with
// `own` excludes the pages of Bun's own file.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "../packages/cli/scripts/bundle.ts";
import { report } from "./lib/report.ts";

const ROUNDS = 7;
const PORT = 24_321;
const root = new URL("..", import.meta.url).pathname;
/** The delay after which the watchdog's thread has started too, in milliseconds. */
const IDLE_MS = 3_000;
const cache = join(root, "node_modules", ".cache");
mkdirSync(cache, { recursive: true });
// There the modules that the bundle loads on demand are found.
const dir = mkdtempSync(join(cache, "pylon-start-"));
for (const name of ["main", "watchdog-worker"] as const) await bundle(name, join(dir, "dist"));
const env = {
  ...process.env,
  PYLON_DB_PATH: join(dir, "todo.db"),
  PYLON_LOG_LEVEL: "error",
  PYLON_SINGLE_PORT: "1",
};
const ours = [
  process.execPath,
  join(dir, "dist", "main.js"),
  "start",
  join(root, "examples/todo"),
  "--port",
  String(PORT),
];
const theirs = [
  process.execPath,
  "-e",
  `Bun.serve({ port: ${PORT}, fetch: () => Response.json({ status: "ok" }) })`,
];

const rounds: { value: number; baseline: number }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const value = await millisecondsToHealth(ours);
  const baseline = await millisecondsToHealth(theirs);
  if (round > 0) rounds.push({ value, baseline });
}
report("start", "ms", rounds);
const [value, baseline] = [await idleMemory(ours), await idleMemory(theirs)];
rmSync(dir, { recursive: true, force: true });
report("start-memory", "bytes", [{ value: value.all, baseline: baseline.all }]);
report("start-memory-own", "bytes", [{ value: value.own, baseline: baseline.own }]);

async function millisecondsToHealth(command: string[]): Promise<number> {
  const started = performance.now();
  return whileServing(command, async () => performance.now() - started);
}

/** Runs a server, and `work` once it responds. */
async function whileServing<T>(command: string[], work: (pid: number) => Promise<T>): Promise<T> {
  const child = Bun.spawn(command, { env, stdout: "ignore", stderr: "inherit" });
  while (!(await isHealthy())) await Bun.sleep(1);
  const result = await work(child.pid);
  child.kill();
  await child.exited;
  return result;
}

function idleMemory(command: string[]): Promise<{ readonly all: number; readonly own: number }> {
  return whileServing(command, async (pid) => {
    await Bun.sleep(IDLE_MS);
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const bytes = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
    return { all: bytes("VmRSS"), own: bytes("RssAnon") };
  });
}

async function isHealthy(): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${PORT}/health`)).ok;
  } catch {
    // Nothing listens yet.
    return false;
  }
}
