import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { shard, v, type ShardDefinition } from "@pylonsync/functions";
import { playReplay } from "@pylonsync/functions/simulation";
import { MAX_SHARD_CALL_BYTES, MAX_SHARD_LOG_LINES, PylonError } from "@pylonsync/protocol";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { turn } from "../testing/manual-platform.ts";
import type { ShardCall } from "./shard-calls.ts";
import { RecordedShards } from "./testing/recorded-shards.ts";

const dir = mkdtempSync(join(tmpdir(), "pylon-shard-calls-"));
let store: Store;
beforeAll(async () => {
  const path = join(dir, "calls.db");
  store = await openStore(
    { kind: "sqlite", path, isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Each input is a call; its results are kept in the order in which they arrive. */
const caller = shard({
  instances: true,
  record: true,
  input: v.object({ name: v.string(), as: v.optional(v.string()), times: v.optional(v.int()) }),
  init: () => {
    const results: unknown[] = [];
    return { results, rolls: 0 };
  },
  onInput: (state, player, { name, as, times = 1 }, step) => {
    state.rolls += step.random();
    const options = { data: { by: player.id }, ...(as === undefined ? {} : { as }) };
    for (let count = 0; count < times; count += 1) step.run(name, { count }, options);
  },
  onResult: (state, { call, name, data, value, error }, step) => {
    state.rolls += step.random();
    state.results.push({ call, name, data, value, code: error?.code ?? null, tick: step.tick });
    step.log.info("result", { call });
  },
  tick: ({ results }) => {
    // The value is part of the state from now on, and changes with it.
    for (const result of results) Object.assign(Object(result), { seen: true });
  },
  view: ({ results }) => results,
});

interface Pending {
  readonly call: ShardCall;
  readonly succeed: (json: string) => void;
  readonly fail: (error: unknown) => void;
}

class Calls {
  readonly server: RecordedShards;
  readonly pending: Pending[] = [];

  constructor(isIsolated: boolean, definition: ShardDefinition = caller) {
    const folder = mkdtempSync(join(dir, "files-"));
    this.server = new RecordedShards(definition, isIsolated, { store, folder });
    this.server.perform = (call) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      this.pending.push({ call, succeed: resolve, fail: reject });
      return promise;
    };
  }

  async input(id: string, userId: string, input: object): Promise<void> {
    const connection = await this.server.join(id, userId);
    this.server.shards.input(connection, input, { clientSeq: null });
    await this.server.pass(1000);
  }

  async results(id: string): Promise<Record<string, unknown>[]> {
    await turn();
    await this.server.pass(1000);
    const saved: { readonly state: { readonly results: Record<string, unknown>[] } } = JSON.parse(
      await this.server.shards.get(id).save(),
    );
    return saved.state.results;
  }
}

let ids = 0;
function fresh(): string {
  return `world:c${(ids += 1)}`;
}

describe.each([
  ["on the server's thread", false],
  ["on a thread of its own", true],
] as const)("%s", (_place, isIsolated) => {
  test("a call is made as the server or as a player, and its result arrives later", async () => {
    const calls = new Calls(isIsolated);
    const id = fresh();
    await calls.input(id, "ann", { name: "one" });
    await calls.input(id, "bob", { name: "two", as: "ann" });
    const [one, two] = calls.pending;
    expect(one?.call).toMatchObject({ shardId: id, kind: "run", name: "one", args: { count: 0 } });
    expect([one?.call.caller, two?.call.caller?.userId]).toEqual([null, "ann"]);
    expect(await calls.results(id)).toEqual([]);
    two?.succeed('{"n":-0,"a":[1]}');
    one?.fail(new PylonError("FORBIDDEN", "no"));
    const results = await calls.results(id);
    expect(results).toMatchObject([
      { call: 2, name: "two", data: { by: "bob" }, value: { n: -0, a: [1] }, code: null },
      { call: 1, name: "one", data: { by: "ann" }, value: null, code: "FORBIDDEN" },
    ]);
    expect(calls.server.logged).toEqual(['info result {"call":2}', 'info result {"call":1}']);
    await calls.server.shards.close();
    expect(calls.server.failures).toEqual([]);
  });

  test("a replay of recorded calls has the same states, and calls nothing", async () => {
    const calls = new Calls(isIsolated);
    const id = fresh();
    await calls.input(id, "ann", { name: "one", times: 3 });
    calls.pending[1]?.succeed('{"list":[{"x":0.1}]}');
    calls.pending[0]?.fail(new Error("of the database"));
    await calls.results(id);
    const saved = await calls.server.shards.get(id).save();
    const { tick } = calls.server.shards.get(id);
    const made = calls.pending.length;
    await calls.server.shards.close();
    expect(await calls.server.check(id)).toHaveLength(1);
    const [row] = await calls.server.replays.list(id, null);
    if (row === undefined) throw new Error("Nothing was recorded.");
    const player = playReplay(caller, JSON.parse((await calls.server.replays.read(row)) ?? ""));
    player.seek(tick);
    const { state } = JSON.parse(saved);
    expect(player.view()).toEqual(state.results);
    expect(player.view()).toMatchObject([{ value: { list: [{ x: 0.1 }] } }, { code: "INTERNAL" }]);
    // Once more, from the start: the first run changed what it was given.
    player.seek(player.from);
    player.seek(tick);
    expect(player.view()).toEqual(state.results);
    expect(calls.pending).toHaveLength(made);
  });

  test("a call that the stop of a shard interrupts fails with INTERRUPTED after it", async () => {
    const calls = new Calls(isIsolated);
    const id = fresh();
    await calls.input(id, "ann", { name: "one", times: 2 });
    const [one, two] = calls.pending;
    one?.succeed("1");
    await calls.results(id);
    await calls.server.shards.stop(id);
    expect(two?.call.signal.aborted).toBe(true);
    two?.succeed("2");
    await calls.server.join(id, "ann");
    expect(await calls.results(id)).toMatchObject([
      { call: 1, value: 1 },
      { call: 2, value: null, code: "INTERRUPTED" },
    ]);
    await calls.server.shards.close();
    // The recording of the second run begins with the pending call, and has its failure.
    expect(await calls.server.check(id)).toHaveLength(2);
    expect(calls.server.failures).toEqual([]);
  });

  test("results that can't be delivered, and a missing player, are errors of a call", async () => {
    const calls = new Calls(isIsolated);
    const id = fresh();
    const bob = await calls.server.join(id, "bob");
    await calls.input(id, "ann", { name: "large", times: 2 });
    calls.server.shards.leave(bob);
    await calls.input(id, "ann", { name: "gone", as: "bob" });
    const [large, deep] = calls.pending;
    large?.succeed(JSON.stringify("x".repeat(MAX_SHARD_CALL_BYTES)));
    deep?.succeed(`${"[".repeat(100)}${"]".repeat(100)}`);
    const codes = (await calls.results(id)).map(({ code }) => String(code));
    expect(codes.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "INVALID_RESULT",
      "NOT_CONNECTED",
      "RESULT_TOO_LARGE",
    ]);
    expect(calls.pending).toHaveLength(2);
    await calls.server.shards.close();
  });

  test("eight calls of a shard run at a time, and the next when one has ended", async () => {
    const calls = new Calls(isIsolated);
    const id = fresh();
    await calls.input(id, "ann", { name: "one", times: 20 });
    expect(calls.pending).toHaveLength(8);
    for (let done = 0; done < 20; done += 1) {
      calls.pending[done]?.succeed(String(done));
      await turn();
      expect(calls.pending).toHaveLength(Math.min(20, 9 + done));
    }
    expect(await calls.results(id)).toHaveLength(20);
    await calls.server.shards.close();
  });

  test("a shard that logs without end is cut off until the window is over", async () => {
    const loud = { ...caller, tick: (_state: unknown, step: Loud) => step.log.debug("tick") };
    const calls = new Calls(isIsolated, loud);
    const id = fresh();
    await calls.server.join(id, "ann");
    await calls.server.pass(9_000);
    expect(calls.server.logged).toHaveLength(MAX_SHARD_LOG_LINES + 1);
    expect(calls.server.logged.at(-1)).toContain("logs too much");
    await calls.server.pass(2_000);
    expect(calls.server.logged.length).toBeGreaterThan(MAX_SHARD_LOG_LINES + 10);
    await calls.server.shards.close();
  });
});

interface Loud {
  readonly log: { debug(message: string): void };
}
