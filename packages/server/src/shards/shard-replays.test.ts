import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { shard, v, type RecordRules, type ShardDefinition } from "@pylonsync/functions";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { RecordedShards } from "./testing/recorded-shards.ts";

const DAY_MS = 24 * 60 * 60_000;
const dir = mkdtempSync(join(tmpdir(), "pylon-replays-"));
let store: Store;
beforeAll(async () => {
  store = await openStore(
    process.env["PYLON_TEST_STORE"] === "postgres"
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "replays.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function worldOf(record: boolean | RecordRules, more: Partial<ShardDefinition> = {}) {
  const world = shard({
    instances: true,
    input: v.object({ dx: v.number() }),
    init: (step) => ({ x: step.random(), steps: 0 }),
    onInput: (state, _player, { dx }, step) => {
      state.x += dx * step.random();
    },
    tick: (state) => {
      state.steps += 1;
    },
    view: (state) => ({ x: state.x }),
    record,
  });
  return { ...world, ...more };
}

function recorded(definition: ShardDefinition, isIsolated: boolean): RecordedShards {
  return new RecordedShards(definition, isIsolated, {
    store,
    folder: mkdtempSync(join(dir, "files-")),
  });
}

let ids = 0;
function fresh(): string {
  return `world:${(ids += 1)}`;
}

describe.each([
  ["on the server's thread", false],
  ["on a thread of its own", true],
] as const)("%s", (_place, isIsolated) => {
  test("a run is recorded from its beginning, and from where it was saved", async () => {
    const setup = recorded(worldOf(true), isIsolated);
    const id = fresh();
    await setup.play(id, "ann");
    await setup.shards.stop(id);
    await setup.replays.settled();
    await setup.play(id, "bob");
    await setup.shards.close();
    const [second, first] = await setup.check(id);
    expect(first?.[0]).toBe(0);
    expect(second?.[0]).toBe(first?.[1]);
    expect(setup.failures).toEqual([]);
  });

  test("other code begins another recording, and an idle run leaves none", async () => {
    const setup = recorded(worldOf({ minutes: 1 }), isIsolated);
    const id = fresh();
    const connection = await setup.play(id, "ann");
    setup.shards.replace();
    await setup.pass(1000);
    setup.shards.input(connection, { dx: 1 }, { clientSeq: 9 });
    await setup.pass(1000);
    // Nobody does anything for two minutes: recordings of that are not worth keeping.
    await setup.pass(120_000);
    await setup.shards.close();
    expect(await setup.check(id)).toHaveLength(2);
    expect(setup.failures).toEqual([]);
  });

  test("each round is a separate recording, and can be played while the run goes on", async () => {
    const setup = recorded(
      worldOf(
        { duringRun: true },
        {
          tick: (_state, step) => {
            if (step.tick % 30 === 0) step.nextRecording();
          },
        },
      ),
      isIsolated,
    );
    const id = fresh();
    await setup.play(id, "ann");
    await setup.replays.settled();
    const runs = await setup.check(id);
    expect(runs.toReversed()).toEqual([
      [0, 30],
      [30, 60],
    ]);
    expect(await setup.replays.list(id, "ann")).toHaveLength(2);
    await setup.shards.close();
    expect(setup.failures).toEqual([]);
  });

  test("a shard that is not recorded leaves no file", async () => {
    const setup = recorded(worldOf(false), isIsolated);
    const id = fresh();
    await setup.play(id, "ann");
    await setup.shards.close();
    expect(await setup.replays.list(id, null)).toEqual([]);
    expect(readdirSync(setup.folder)).toEqual([]);
  });

  test("a state that can't be saved ends the recording, and not the shard", async () => {
    const setup = recorded(
      worldOf(true, {
        tick: (state) => {
          Object.assign(Object(state), { x: new Date(0) });
        },
      }),
      isIsolated,
    );
    const id = fresh();
    await setup.play(id, "ann");
    await setup.pass(15_000);
    expect(setup.shards.get(id).tick).toBeGreaterThan(200);
    expect(setup.failures.join("\n")).toContain("record: TypeError: state.x is a Date");
    await setup.shards.close();
  });
});

test("what a thread that is stuck had recorded is kept", async () => {
  const setup = recorded(worldOf(true), true);
  const id = fresh();
  await setup.play(id, "ann");
  const [thread] = setup.threads;
  if (thread !== undefined) thread.isStuck = true;
  await setup.pass(6_000);
  await setup.shards.close();
  expect(await setup.check(id)).toHaveLength(1);
});

test("only the admin and those who are named may play a recording", async () => {
  const open = async (access: NonNullable<RecordRules["access"]>): Promise<readonly number[]> => {
    const setup = recorded(worldOf({ access }), false);
    const id = fresh();
    await setup.play(id, "ann");
    await setup.shards.forget(id);
    await setup.shards.close();
    const [row] = await setup.replays.list(id, null);
    for (const user of ["ann", "eve"]) {
      const listed = await setup.replays.list(id, user);
      const got = await setup.replays.get(id, row?.id ?? "", user);
      expect(got !== null).toBe(listed.length === 1);
    }
    expect(await setup.replays.get("world:other", row?.id ?? "", null)).toBeNull();
    const viewers = [null, "ann", "eve"];
    return Promise.all(viewers.map(async (who) => (await setup.replays.list(id, who)).length));
  };
  expect(await open("admin")).toEqual([1, 0, 0]);
  expect(await open("players")).toEqual([1, 1, 0]);
  expect(await open("everyone")).toEqual([1, 1, 1]);
});

describe.each([false, true])("while a run goes on, with duringRun: %p", (duringRun) => {
  const lists = async (setup: RecordedShards, id: string): Promise<readonly number[]> => {
    await setup.replays.settled();
    const viewers = [null, "ann", "eve"];
    return Promise.all(viewers.map(async (who) => (await setup.replays.list(id, who)).length));
  };
  // What the view hides is in them, and what the run draws next.
  const closed = (count: number): readonly number[] => [count, duringRun ? count : 0, 0];

  test("its recordings are opened once it is over, those from before a restart too", async () => {
    const setup = recorded(worldOf({ duringRun }), false);
    const id = fresh();
    await setup.play(id, "ann");
    await setup.shards.stop(id);
    expect(await lists(setup, id)).toEqual(closed(1));
    const connection = await setup.play(id, "ann");
    setup.shards.replace();
    expect(await lists(setup, id)).toEqual(closed(2));
    setup.shards.input(connection, { dx: 1 }, { clientSeq: 9 });
    await setup.pass(1000);
    await setup.shards.forget(id);
    expect(await lists(setup, id)).toEqual([3, 3, 0]);
    // The next run of the same name is another one's.
    await setup.play(id, "ann");
    await setup.shards.stop(id);
    expect(await lists(setup, id)).toEqual(duringRun ? [4, 4, 0] : [4, 3, 0]);
    await setup.shards.forget(id);
    expect(await lists(setup, id)).toEqual([4, 4, 0]);
    await setup.shards.close();
    expect(setup.failures).toEqual([]);
  });
});

test("recordings go with their time, and the oldest when there are too many", async () => {
  const setup = recorded(worldOf({ keep: 2, keepDays: 3 }), false);
  const id = fresh();
  for (const user of ["ann", "bob", "cy"]) {
    await setup.play(id, user);
    await setup.shards.stop(id);
    await setup.replays.settled();
  }
  const kept = await setup.replays.list(id, null);
  expect(kept.map(({ players }) => players.at(-1))).toEqual(["cy", "bob"]);
  await setup.shards.close();
  setup.manual.advance(3 * DAY_MS + 60_000);
  expect(await setup.replays.list(id, null)).toEqual([]);
  await setup.replays.forgetOld();
  for (const row of kept) expect(await setup.replays.read(row)).toBeNull();
});
