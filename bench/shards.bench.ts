// A game of 50 players, all of whom move in each of 20 steps a second and turn ten times a second,
// against the same game in Colyseus, which runs on Node. For each player and step: CPU of the
// server, and bytes that it sends. Then how evenly a client hears the steps.
import { freePorts } from "../tests/support/servers/free-port.ts";
import { cpuMs } from "./lib/cpu.ts";
import { report } from "./lib/report.ts";
import { startServer } from "./lib/servers.ts";
import { ShardCrowd } from "./lib/shard-crowd.ts";

const PLAYERS = 50;
const STEP_MS = 50;
const TURNS = 40;
const WARM_UP_TURNS = 10;
const ROUNDS = 4;

interface Figures {
  readonly cpu: number;
  readonly bytes: number;
  readonly jitter: number;
}

const port = await freePorts(1);
const colyseus = Bun.spawn(
  ["node", new URL("lib/colyseus-server.mjs", import.meta.url).pathname, String(port)],
  { stdout: "pipe", stderr: "inherit" },
);
await colyseus.stdout.getReader().read();
const pylon = await startServer("pylon");

const rounds: { readonly ours: Figures; readonly theirs: Figures }[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const ours = await measure(pylon.pid, await ShardCrowd.ofPylon(pylon.url, PLAYERS));
  const url = `http://127.0.0.1:${port}`;
  const theirs = await measure(colyseus.pid, await ShardCrowd.ofColyseus(url, PLAYERS));
  // The first round warms both up.
  if (round > 0) rounds.push({ ours, theirs });
}
await pylon.stop();
colyseus.kill();
await colyseus.exited;
for (const [name, unit] of [
  ["cpu", "us of CPU/player-tick"],
  ["bytes", "bytes/player-tick"],
  ["jitter", "ms, p99 of a step's lateness"],
] as const)
  report(
    `shards-${name}`,
    unit,
    rounds.map(({ ours, theirs }) => ({ value: ours[name], baseline: theirs[name] })),
  );

async function measure(pid: number, crowd: ShardCrowd): Promise<Figures> {
  await crowd.play(WARM_UP_TURNS);
  const [cpu, started] = [cpuMs(pid), performance.now()];
  const { bytes, gaps } = await crowd.play(TURNS);
  const playerTicks = ((performance.now() - started) / STEP_MS) * PLAYERS;
  const used = cpuMs(pid) - cpu;
  await crowd.leave();
  const late = gaps.map((gap) => Math.abs(gap - STEP_MS)).toSorted((a, b) => a - b);
  return {
    cpu: (used * 1000) / playerTicks,
    bytes: bytes / playerTicks,
    jitter: late[Math.floor(late.length * 0.99)] ?? 0,
  };
}
