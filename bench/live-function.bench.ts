// 1,000 clients of one function whose result does not depend on the caller, at 50 commits per
// second that change its result: how often it runs, and the time from a write until a client has
// the result, against that of 1,000 clients that subscribe to the same rows, at the same writes.
import { join } from "node:path";
import { report } from "./lib/report.ts";
import { guestToken, startServer } from "./lib/servers.ts";

const CLIENTS = 1000;
const RATE = 50;
const COMMITS = 250;
const WARM_UP = 25;
const ROUNDS = 3;
const FUNCTION = { type: "subscribe", id: 1, function: "newestNotes" };
const ROWS = { type: "subscribe", id: 1, entity: "Note", order: { count: "desc" }, limit: 20 };

const server = await startServer("pylon");
const token = await guestToken(server.url);
let written = 0;
const p50: { value: number; baseline: number }[] = [];
const p99: { value: number; baseline: number }[] = [];
const runs: { value: number; baseline: number }[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const before = await ran();
  const value = await timesOf(FUNCTION);
  // The runs for the crowd's first results and the two calls here were not caused by commits.
  const after = await ran();
  runs.push({ value: (after - before - 2) / (COMMITS + WARM_UP), baseline: 1 });
  const baseline = await timesOf(ROWS);
  p50.push({ value: quantile(value, 0.5), baseline: quantile(baseline, 0.5) });
  p99.push({ value: quantile(value, 0.99), baseline: quantile(baseline, 0.99) });
}
await server.stop();
report("live-function-runs", "runs/commit", runs);
report("live-function-p50", "ms", p50);
report("live-function-p99", "ms", p99);

/** The latencies of all messages to a crowd that subscribes, in milliseconds. */
async function timesOf(subscribe: object): Promise<number[]> {
  const url = `${server.url.replace("http", "ws")}/ws`;
  const file = join(import.meta.dir, "lib/live-crowd.ts");
  const command = [process.execPath, file, url, String(CLIENTS), JSON.stringify(subscribe)];
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  const line = async (): Promise<string> => {
    while (!seen.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error("The crowd's process ended.");
      seen += value;
    }
    const end = seen.indexOf("\n");
    const first = seen.slice(0, end);
    seen = seen.slice(end + 1);
    return first;
  };
  const timesUntil = async (last: number): Promise<number[]> => {
    void child.stdin.write(`${last}\n`);
    void child.stdin.flush();
    return JSON.parse(await line()) as number[];
  };
  await line();
  await timesUntil(await write(WARM_UP));
  const times = await timesUntil(await write(COMMITS));
  child.kill();
  await child.exited;
  return times;
}

/** @returns when the last one was written, in milliseconds */
async function write(count: number): Promise<number> {
  const writes: Promise<unknown>[] = [];
  const start = performance.now();
  let last = 0;
  for (let index = 0; index < count; index += 1) {
    await Bun.sleep(start + (index * 1000) / RATE - performance.now());
    written += 1;
    last = performance.timeOrigin + performance.now();
    writes.push(call("addNote", { text: `at:${last}`, count: written }));
  }
  await Promise.all(writes);
  return last;
}

async function ran(): Promise<number> {
  return ((await call("newestNotes", {})) as { readonly runs: number }).runs;
}

async function call(name: string, args: object): Promise<unknown> {
  const answer = await fetch(`${server.url}/api/fn/${name}`, {
    method: "POST",
    body: JSON.stringify(args),
    headers: { Authorization: `Bearer ${token}` },
  });
  return answer.json();
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}
