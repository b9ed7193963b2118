// From the start of the process to the first healthy answer of the todo example, against a bare Bun
// server.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { report } from "./lib/report.ts";

const ROUNDS = 7;
const PORT = 24_321;
const root = new URL("..", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "pylon-start-"));
const env = {
  ...process.env,
  PYLON_DB_PATH: join(dir, "todo.db"),
  PYLON_LOG_LEVEL: "error",
  PYLON_SINGLE_PORT: "1",
};
const ours = [
  process.execPath,
  join(root, "packages/cli/src/main.ts"),
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
rmSync(dir, { recursive: true, force: true });
report("start", "ms", rounds);

async function millisecondsToHealth(command: string[]): Promise<number> {
  const started = performance.now();
  const child = Bun.spawn(command, { env, stdout: "ignore", stderr: "inherit" });
  while (!(await isHealthy())) await Bun.sleep(1);
  const taken = performance.now() - started;
  child.kill();
  await child.exited;
  return taken;
}

async function isHealthy(): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${PORT}/health`)).ok;
  } catch {
    // Nobody listens yet.
    return false;
  }
}
