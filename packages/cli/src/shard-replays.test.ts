import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ReplayRecorder, Simulation } from "@pylonsync/functions/simulation";
import arena from "../../../examples/arena-shard/shards/arena.ts";
import { noteApp, pylon, PylonProcess, TempFolder, type Result } from "./testing/pylon-process.ts";

// Recorded runs of a real server: over HTTP, and replayed by `pylon shards` in other processes.

const ARENA = join(import.meta.dir, "../../../examples/arena-shard");
const TOKEN = "canary-admin-token-of-this-test-0123";
const RULES = "export const drift = (chance: number): number => Math.sin(chance) / 3;\n";
const folder = new TempFolder();
let server: PylonProcess;
let url = "";

beforeAll(async () => {
  folder.write({
    "app.ts": noteApp("text: field.string()"),
    "shards/_rules.ts": RULES,
    "shards/drift.ts": `import { shard, v } from "@pylonsync/functions";
import { drift } from "./_rules.ts";

export default shard({
  tickRate: 60,
  record: true,
  graceSeconds: 0,
  input: v.object({ push: v.number() }),
  init: (step) => ({ at: step.random(), inputs: 0 }),
  onInput: (state, _player, { push }, step) => {
    state.at += push * step.random();
    state.inputs += 1;
  },
  tick: (state, step) => {
    state.at += drift(step.random());
  },
  view: ({ at, inputs }) => ({ at, inputs }),
});
`,
  });
  server = new PylonProcess(["start", "--port", "0"], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });
  url = `http://127.0.0.1:${String((await server.event())["port"])}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const ask = (...args: string[]): Promise<Result> =>
  pylon(["shards", ...args, "--url", url], folder.path, { PYLON_ADMIN_TOKEN: TOKEN });

interface Guest {
  readonly user_id: string;
  readonly token: string;
}

async function guest(): Promise<Guest> {
  return (await fetch(`${url}/api/auth/guest`, { method: "POST" })).json();
}

/** Plays until the shard has applied some inputs. */
function play({ user_id, token }: Guest): Promise<void> {
  return new Promise((resolve, reject) => {
    const address = `${url.replace("http", "ws")}/shards?shard=drift&sid=${user_id}`;
    const socket = new WebSocket(address, [`bearer.${token}`]);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const view = new TextDecoder().decode(data.slice(8));
      const { inputs }: { readonly inputs: number } = JSON.parse(view);
      if (inputs < 20) return socket.send(JSON.stringify({ input: { push: inputs - 0.5 } }));
      socket.onclose = null;
      socket.close();
      resolve();
    };
    socket.onclose = ({ reason }) => reject(new Error(reason));
  });
}

interface Listed {
  readonly id: string;
  readonly to_tick: number;
  readonly players: number;
}

/** Returns the recordings, once there is one. */
async function listed(): Promise<readonly Listed[]> {
  for (;;) {
    const rows: readonly Listed[] = JSON.parse((await ask("replays", "drift", "--json")).stdout);
    if (rows.length > 0) return rows;
  }
}

const statusAs = async (path: string, token: string, method = "GET"): Promise<number> =>
  (await fetch(url + path, { method, headers: { Authorization: `Bearer ${token}` } })).status;

test("a run is listed, downloaded by a player, and replayed by another process", async () => {
  const [ann, eve] = await Promise.all([guest(), guest()]);
  await play(ann);
  await ask("stop", "drift");
  const [row] = await listed();
  expect(row).toMatchObject({ players: 1 });
  const id = row?.id ?? "";
  const path = `/api/shards/drift/replays/${id}`;
  // The run may continue from here, and its later random numbers are in the recording.
  expect(await statusAs(path, ann.token)).toBe(404);
  await ask("reset", "drift");
  expect(await statusAs(path, ann.token)).toBe(200);
  expect(await statusAs(path, eve.token)).toBe(404);
  expect(await statusAs("/api/shards/drift/replays", eve.token)).toBe(200);
  expect((await fetch(url + path)).status).toBe(401);
  expect(await statusAs(path, ann.token, "DELETE")).toBe(403);

  const table = await ask("replays", "drift");
  expect(table.stdout).toContain(`drift/${id}`);
  const file = join(folder.path, "run.json");
  const played = await ask("replay", `drift/${id}`, "--save", file);
  expect([played.stderr, played.exitCode]).toEqual(["", 0]);
  expect(played.stdout).toMatch(/drift: \d+ steps \(0 to \d+\) in \d+ ms/);
  expect(played.stdout).toMatch(/The state matches the server's at [1-9]\d* of \d+ checkpoints/);

  // A changed helper of the shard counts as different code as well.
  folder.write({ "shards/_rules.ts": RULES.replace("/ 3", "/ 4") });
  const other = await ask("replay", "run.json");
  expect([other.exitCode, other.stderr]).toEqual([1, expect.stringContaining("different code")]);
  const anyCode = await ask("replay", "run.json", "--any-code");
  expect([anyCode.exitCode, anyCode.stdout]).toEqual([1, expect.stringContaining("differs")]);
  folder.write({ "shards/_rules.ts": RULES });
  expect((await ask("replay", "run.json")).exitCode).toBe(0);

  const changed = readFileSync(file, "utf8").replace(
    /"push":(-?[\d.]+)/,
    (_match, push) => `"push":${Number(push) + 0.25}`,
  );
  folder.write({ "run.json": changed });
  expect((await ask("replay", "run.json")).stdout).toContain("differs from the server's");
  folder.write({ "run.json": "{}" });
  const broken = await ask("replay", "run.json");
  expect([broken.exitCode, broken.stderr]).toEqual([1, expect.stringContaining("not a replay")]);

  expect(await statusAs(path, TOKEN, "DELETE")).toBe(200);
  expect(await statusAs(path, ann.token)).toBe(404);
});

test("a wrong name is reported", async () => {
  const unknown = await ask("replay", "drift/nothing");
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    1,
    expect.stringContaining("The replay does not exist"),
  ]);
  const nothing = await ask("replay", "nothing");
  expect([nothing.exitCode, nothing.stderr]).toEqual([64, expect.stringContaining("SHARD/REPLAY")]);
});

test("10,000 steps are identical in another process", async () => {
  // Recorded here, from an example's game with its 60 bots.
  const simulation = Simulation.begin("arena:main", arena, 42);
  const [steps, checkpoints]: [string[], string[]] = [[], []];
  let initial = "";
  const limits = { maxSteps: Infinity, maxChars: Infinity };
  const recorder = new ReplayRecorder(simulation, limits, (piece) => {
    if (piece.kind === "begin") initial = piece.saved;
    else if (piece.kind === "step") steps.push(piece.text);
    else checkpoints.push(`[${piece.tick},"${piece.hash}"]`);
  });
  recorder.begin();
  const player = { id: "ann", isGuest: false, tenantId: null, roles: [] };
  for (let tick = 1; tick <= 10_000; tick += 1) {
    const input = { x: (tick % 7) - 3, y: (tick % 5) - 2, dash: tick % 50 === 0 };
    const events =
      tick === 1
        ? [{ kind: "join", player } as const]
        : [{ kind: "input", playerId: "ann", input } as const];
    recorder.stepping(events);
    simulation.advance(events);
    recorder.stepped();
  }
  recorder.end();
  folder.write({
    "long.json":
      '{"format":"pylon.replay","version":1,"shard":"arena:main","code":null,"tick_rate":20,' +
      '"from_tick":0,"to_tick":10000,"started_at":"","ended_at":"",' +
      `"initial":${initial},"steps":[${steps.join(",")}],"checkpoints":[${checkpoints.join(",")}]}`,
  });
  const { exitCode, stdout, stderr } = await ask("replay", "long.json", "--dir", ARENA);
  expect([stderr, exitCode]).toEqual(["", 0]);
  expect(stdout).toContain("10000 steps (0 to 10000)");
  expect(stdout).toContain("The state matches the server's at 50 of 50 checkpoints.");
}, 180_000);
