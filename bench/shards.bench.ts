// A game of 50 players, all of whom move in each of 20 steps per second and turn ten times per
// second, against the same game in Colyseus, which runs on Node. For each player and step: CPU of
// the server, and bytes that it sends. Then how evenly a client receives the steps. The cost of the
// sockets alone is measured as well: no game on Bun can use less CPU than that. A game server runs
// for hours, so each one plays a minute first: in it, both runtimes compile more than they play.
import { freePorts } from "../tests/support/servers/free-port.ts";
import { cpuMs } from "./lib/cpu.ts";
import { report } from "./lib/report.ts";
import { startPublished, startServer } from "./lib/servers.ts";
import { ShardCrowd } from "./lib/shard-crowd.ts";

const PLAYERS = 50;
const MANY_PLAYERS = 200;
/** Of one core. */
const SHARE_FOR_MANY = 0.5;
const STEP_MS = 50;
const TURNS = 64;
const WARM_UP_TURNS = 10;
/** Before the first round, until the compilers of all are done: their CPU is steady then. */
const FIRST_TURNS = 600;
/** An odd number: of an even one, `report` would take the worse of the two in the middle. */
const ROUNDS = 5;

interface Figures {
  readonly cpu: number;
  readonly bytes: number;
  /** How late each step was, or how early, in milliseconds. */
  readonly late: readonly number[];
}

const port = await freePorts(1);
const colyseus = Bun.spawn(
  ["node", new URL("lib/colyseus-server.mjs", import.meta.url).pathname, String(port)],
  { stdout: "pipe", stderr: "inherit" },
);
await colyseus.stdout.getReader().read();
const pylon = await startPublished();
const bare = await startServer("bare-shard");
const crowds = {
  ours: () => ShardCrowd.ofPylon(pylon.url, PLAYERS),
  theirs: () => ShardCrowd.ofColyseus(`http://127.0.0.1:${port}`, PLAYERS),
  floor: () => ShardCrowd.ofBare(bare.url, PLAYERS),
};
await Promise.all(
  Object.values(crowds).map(async (join) => {
    const crowd = await join();
    await crowd.play(FIRST_TURNS);
    await crowd.leave();
  }),
);

const rounds: Readonly<Record<keyof typeof crowds, Figures>>[] = [];
for (let round = 0; round < ROUNDS; round += 1)
  rounds.push({
    ours: await measure(pylon.pid, await crowds.ours()),
    theirs: await measure(colyseus.pid, await crowds.theirs()),
    floor: await measure(bare.pid, await crowds.floor()),
  });
await bare.stop();
colyseus.kill();
await colyseus.exited;
const many = await measure(
  pylon.pid,
  await ShardCrowd.ofPylon(pylon.url, MANY_PLAYERS),
  MANY_PLAYERS,
);
await pylon.stop();
for (const [name, unit] of [
  ["cpu", "us of CPU/player-tick"],
  ["bytes", "bytes/player-tick"],
] as const)
  report(
    `shards-${name}`,
    unit,
    rounds.map(({ ours, theirs }) => ({ value: ours[name], baseline: theirs[name] })),
  );
// Of all rounds together: a percentile of a few steps would be that of the machine's worst moment.
for (const share of [0.5, 0.99])
  report(`shards-jitter-p${share * 100}`, "ms, a step's lateness", [
    { value: quantile("ours", share), baseline: quantile("theirs", share) },
  ]);
report(
  "shards-cpu-sockets-alone",
  "us of CPU/player-tick, beside Colyseus",
  rounds.map(({ floor, theirs }) => ({ value: floor.cpu, baseline: theirs.cpu })),
);
// Per player and step, so that it compares with the cost of few: all see all.
report(`shards-cpu-of-${MANY_PLAYERS}`, "us of CPU/player-tick, beside half a core", [
  { value: many.cpu, baseline: (SHARE_FOR_MANY * STEP_MS * 1000) / MANY_PLAYERS },
]);

async function measure(pid: number, crowd: ShardCrowd, players = PLAYERS): Promise<Figures> {
  await crowd.play(WARM_UP_TURNS);
  const [cpu, started] = [cpuMs(pid), performance.now()];
  const { bytes, gaps } = await crowd.play(TURNS);
  const playerTicks = ((performance.now() - started) / STEP_MS) * players;
  const used = cpuMs(pid) - cpu;
  await crowd.leave();
  return {
    cpu: (used * 1000) / playerTicks,
    bytes: bytes / playerTicks,
    late: gaps.map((gap) => Math.abs(gap - STEP_MS)),
  };
}

function quantile(of: keyof typeof crowds, share: number): number {
  const late = rounds.flatMap((round) => round[of].late).toSorted((a, b) => a - b);
  return late[Math.floor(late.length * share)] ?? 0;
}
