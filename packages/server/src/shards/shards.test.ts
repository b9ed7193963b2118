import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { shard, v, type ShardDefinition } from "@pylonsync/functions";
import { PylonError, SHARD_BACKLOG_BYTES, type CloseCode } from "@pylonsync/protocol";
import fc from "fast-check";
import { createDatabase, sharedPostgresUrl } from "../../../../tests/support/servers/postgres.ts";
import { ANONYMOUS, type Identity, type SessionStatus } from "../identity/identity.ts";
import { LocalStorage } from "../files/local-storage.ts";
import { systemPlatform, type Platform } from "../platform.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { ManualPlatform, turn } from "../testing/manual-platform.ts";
import type { ShardConnection, ShardOutlet } from "./shard-connection.ts";
import { JoinTokens } from "./join-tokens.ts";
import { watchShardSessions } from "./session-watch.ts";
import { nameOf } from "./shard-host.ts";
import { ShardReplays } from "./shard-replays.ts";
import { ShardStorage } from "./shard-storage.ts";
import { Shards } from "./shards.ts";
import { LoopbackThread } from "./testing/loopback-thread.ts";
import { replay, Simulation, type RecordedStep } from "@pylonsync/functions/simulation";

const USES_POSTGRES = process.env["PYLON_TEST_STORE"] === "postgres";
const SEED = 42;

const dir = mkdtempSync(join(tmpdir(), "pylon-shards-"));
let store: Store;
beforeAll(async () => {
  store = await openStore(
    USES_POSTGRES
      ? { kind: "postgres", url: await createDatabase(sharedPostgresUrl()), poolMax: 4, ca: null }
      : { kind: "sqlite", path: join(dir, "shards.db"), isTemporary: true },
    { startTimeoutMs: 0, onState: () => undefined },
  );
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

/** More than one test uses a shard without instances. */
afterEach(() =>
  store.transact((tx) =>
    SYSTEM_TABLES.shards.deleteWhere(tx, SYSTEM_TABLES.shards.isBelow("savedAt", Date.now() * 2)),
  ),
);

/** A client whose connection can be slow. */
class FakeOutlet implements ShardOutlet {
  readonly takesDeltas: boolean;
  readonly texts: string[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly views: string[] = [];
  waiting = 0;
  closed: { readonly code: CloseCode; readonly reason: string } | null = null;

  constructor(takesDeltas = true) {
    this.takesDeltas = takesDeltas;
  }
  /** How often it was sent something. */
  get sent(): number {
    return this.texts.length + this.bytes.length;
  }
  sendText(text: string): void {
    this.texts.push(text);
  }
  sendBytes(bytes: Uint8Array): void {
    this.bytes.push(bytes.slice());
  }
  sendView(_tick: number, view: string): void {
    this.views.push(view);
  }
  backlog(): number {
    return this.waiting;
  }
  close(code: CloseCode, reason: string): void {
    this.closed = { code, reason };
  }
}

/** A server's shards with all that they tell. */
class Setup {
  readonly manual = new ManualPlatform();
  /** Time that passes while code runs. */
  spentMs = 0;
  readonly recorded: RecordedStep[] = [];
  readonly failures: string[] = [];
  readonly scheduled: string[] = [];
  leftOut = 0;
  /** Of every session. */
  status: () => SessionStatus = () => "valid";
  overruns = 0;
  readonly definitions: Map<string, ShardDefinition>;
  readonly platform: Platform = {
    ...systemPlatform,
    after: this.manual.after,
    every: this.manual.every,
    now: () => this.manual.now(),
    monotonic: () => this.manual.monotonic() + this.spentMs,
    random: (bytes) => new Int32Array(bytes.buffer).fill(SEED),
  };

  readonly files = new LocalStorage(join(dir, "replays"), systemPlatform);
  readonly replays = new ShardReplays({
    store,
    files: this.files,
    platform: this.platform,
    definitionOf: (id) => this.definitions.get(nameOf(id)),
    codeOf: () => "code",
    failed: (id, error) => void this.failures.push(`replay of ${id}: ${String(error)}`),
  });
  readonly threads: LoopbackThread[] = [];
  readonly lost: string[] = [];
  readonly #isIsolated: boolean;

  readonly #spare: number;

  constructor(
    isIsolated: boolean,
    definitions: Readonly<Record<string, ShardDefinition>>,
    spare = Infinity,
  ) {
    this.#isIsolated = isIsolated;
    this.#spare = spare;
    this.definitions = new Map(Object.entries(definitions));
  }

  /** A replica of this server. */
  replica(name: string): Shards {
    const shards = new Shards({
      definitions: () => this.definitions,
      threads: {
        sourceOf: (file) => (this.#isIsolated ? { root: "", file } : undefined),
        start: () => {
          const thread = new LoopbackThread(this.platform, ({ file }) => this.#load(file));
          this.threads.push(thread);
          return thread;
        },
        spare: this.#spare,
      },
      tokens: new JoinTokens(store, this.platform),
      replays: this.replays,
      storage: new ShardStorage(store, this.platform, { id: name, address: () => null }),
      platform: this.platform,
      sessionStatus: async () => this.status(),
      perform: () => Promise.reject(new Error("No call is expected.")),
      observer: {
        during: (_name, work) => work(),
        stepped: () => undefined,
        overran: () => void (this.overruns += 1),
        throttled: (_id, ms) => void this.failures.push(`overrun: ${Math.round(ms)} ms`),
        threadEnded: (_name, id, why) => void this.lost.push(`${id} ${why}`),
        failed: (_id, where, error) => void this.failures.push(`${where}: ${String(error)}`),
        broke: (message, _id, error) => void this.failures.push(`${message}: ${String(error)}`),
        input: () => undefined,
        leftOut: () => void (this.leftOut += 1),
        schedule: (_id, { name: called, args }) =>
          void this.scheduled.push(`${called} ${JSON.stringify(args)}`),
        called: () => undefined,
        logged: () => undefined,
        recorded: (_id, step) => void this.recorded.push(step),
      },
    });
    shards.start();
    return shards;
  }

  #load(name: string): ShardDefinition {
    const definition = this.definitions.get(name);
    if (definition === undefined) throw new Error(`There is no file ${name}.`);
    return definition;
  }

  /** Lets time pass in small steps, in which the database answers. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1000) {
      this.manual.advance(Math.min(1000, ms - passed));
      await settled();
    }
  }
}

/** Waits until the database has answered everything, and nothing more is sent to it. */
async function settled(): Promise<void> {
  for (let idleTurns = 0; idleTurns < 5;) {
    await turn();
    await store.ping();
    const { pool, queued } = store.stats();
    const isIdle = (queued ?? 0) === 0 && (pool === null || pool.idle === pool.open);
    idleTurns = isIdle ? idleTurns + 1 : 0;
  }
}

function userOf(userId: string): Identity {
  return { caller: { ...ANONYMOUS, userId }, sessionId: userId, expiresAt: Infinity };
}

async function joined(
  shards: Shards,
  shardId: string,
  userId: string,
  outlet = new FakeOutlet(),
): Promise<{ readonly connection: ShardConnection; readonly outlet: FakeOutlet }> {
  const identity = userOf(userId);
  const connection = await shards.join({
    shardId,
    subscriberId: userId,
    identity,
    outlet,
    ...PLAYER,
  });
  return { connection, outlet };
}

async function codeOf(refused: Promise<unknown>): Promise<string> {
  const error: unknown = await refused.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof PylonError ? error.code : String(error);
}

const PLAYER = { role: "player", isInvited: false } as const;
let ids = 0;
/** A name for a shard that no other test has. */
function fresh(): string {
  return `world:${(ids += 1)}`;
}

const world = shard({
  tickRate: 20,
  instances: true,
  saveSeconds: 5,
  idleSeconds: 30,
  input: v.object({ push: v.number() }),
  init: (step) => ({ at: step.random(), speed: 0, joins: 0 }),
  history: { ms: 300, keep: ({ at }) => ({ at }) },
  onJoin: (state) => {
    state.joins += 1;
  },
  onLeave: (state, { id }, step) => {
    state.speed -= id.length * step.random();
  },
  onInput: (state, _player, { push }, step) => {
    const { from, to, share } = step.rewind();
    state.speed += push * step.random() + (from.at - to.at) * share;
  },
  tick: (state, step) => {
    state.at += state.speed * step.dt + step.random() / 1000;
  },
  view: (state) => state,
});

async function stateOf(shards: Shards, id: string): Promise<unknown> {
  const saved: { readonly state: unknown } = JSON.parse(await shards.get(id).save());
  return saved.state;
}

describe.each([
  ["on the server's thread", false],
  ["on a thread of its own", true],
] as const)("%s", (_place, isIsolated) => {
  test("weakness 9: a live run with restarts is repeated exactly from its record", async () => {
    const action = fc.record({
      what: fc.constantFrom("join", "leave", "input", "input", "input", "restart", "wait"),
      who: fc.constantFrom("ann", "bob", "cleo"),
      ms: fc.integer({ min: 0, max: 700 }),
      push: fc.double({ min: -10, max: 10, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
        const setup = new Setup(isIsolated, { world });
        const id = fresh();
        let shards = setup.replica("one");
        const here = new Map<string, ShardConnection>();
        const enter = async (who: string): Promise<void> => {
          if (!here.has(who)) here.set(who, (await joined(shards, id, who)).connection);
        };
        await enter("host");
        let seq = 0;
        for (const { what, who, ms, push } of actions) {
          const connection = here.get(who);
          if (what === "join") await enter(who);
          else if (what === "leave" && connection !== undefined) {
            shards.leave(connection);
            here.delete(who);
          } else if (what === "input" && connection !== undefined)
            shards.input(
              connection,
              { push },
              {
                clientSeq: (seq += 1),
                seen: Math.max(0, shards.get(id).tick - ms / 50),
              },
            );
          else if (what === "restart") {
            await shards.close();
            here.clear();
            shards = setup.replica(`after ${ms}`);
            await enter("host");
          }
          await setup.pass(ms);
        }
        const live = shards.get(id);
        const again = Simulation.begin(id, world, SEED);
        replay(again, JSON.parse(JSON.stringify(setup.recorded)) as RecordedStep[], live.tick);
        expect(again.save()).toBe(await live.save());
        expect(setup.failures).toEqual([]);
        await shards.close();
      }),
      { numRuns: USES_POSTGRES ? 5 : 25 },
    );
  }, 60_000);

  test("frames that a slow reader loses are followed by a full view and the ack", async () => {
    const setup = new Setup(isIsolated, { world });
    const shards = setup.replica("one");
    const { connection, outlet } = await joined(shards, fresh(), "ann");
    await setup.pass(1_000);
    const before = outlet.sent;
    // The shard's own thread does not know of it yet.
    outlet.waiting = SHARD_BACKLOG_BYTES + 1;
    shards.input(connection, { push: 1 }, { clientSeq: 7 });
    await setup.pass(2_000);
    expect(outlet.sent).toBe(before);
    expect(setup.leftOut).toBeGreaterThan(0);
    outlet.waiting = 0;
    const texts = outlet.texts.length;
    await setup.pass(2_000);
    expect(JSON.parse(outlet.texts[texts] ?? "null")).toMatchObject({
      ack: 7,
      snapshot: { joins: 1 },
    });
    expect(outlet.sent).toBeGreaterThan(before + 10);
    await shards.close();
  });

  test("a user who joins many shards at the same time is in four of them", async () => {
    const setup = new Setup(isIsolated, { world });
    const shards = setup.replica("one");
    const ids = Array.from({ length: 7 }, fresh);
    const codes = await Promise.all(ids.map((id) => codeOf(joined(shards, id, "ann"))));
    const refused = codes.filter((code) => code === "SUBSCRIBE_FAILED");
    expect([refused.length, shards.list().length]).toEqual([3, 4]);
    // A join that failed takes no place.
    const [first] = shards.list();
    await shards.stop(first?.id ?? "");
    await joined(shards, fresh(), "ann");
    expect(await codeOf(joined(shards, fresh(), "ann"))).toBe("SUBSCRIBE_FAILED");
    await shards.close();
  });

  describe("weakness 10: nothing is kept", () => {
    test("the state and the tick go on after a stop; a crash costs a few seconds", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const first = setup.replica("one");
      await joined(first, id, "ann");
      await setup.pass(7_000);
      const { tick } = first.get(id);
      const state = await first.get(id).save();
      await first.close();
      const second = setup.replica("two");
      await joined(second, id, "ann");
      expect([second.get(id).tick, await second.get(id).save()]).toEqual([tick, state]);
      await setup.pass(8_000);
      const crashedAt = second.get(id).tick;
      // Without a word: its lease runs out.
      second.get(id).stop(1001, "killed");
      const third = setup.replica("three");
      if (USES_POSTGRES) await setup.pass(16_000);
      await joined(third, id, "ann");
      const lost = crashedAt - third.get(id).tick;
      expect(lost).toBeGreaterThanOrEqual(0);
      expect(lost).toBeLessThanOrEqual(6 * 20);
      await third.close();
    });

    test("a player who is back after a restart has neither left nor joined again", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const first = setup.replica("one");
      await joined(first, id, "ann");
      await joined(first, id, "bob");
      await setup.pass(1_000);
      await first.close();
      const second = setup.replica("two");
      await joined(second, id, "ann");
      await setup.pass(12_000);
      const events = setup.recorded.flatMap((step) => step.events);
      expect(
        events.map((event) => [
          event.kind,
          event.kind === "join" ? event.player.id : event.kind === "leave" && event.playerId,
        ]),
      ).toEqual([
        ["join", "ann"],
        ["join", "bob"],
        ["leave", "bob"],
      ]);
      await second.close();
    });

    test("a state of another version of the code is dropped", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const first = setup.replica("one");
      await joined(first, id, "ann");
      await setup.pass(2_000);
      await first.close();
      setup.definitions.set("world", { ...world, version: 2 });
      const second = setup.replica("two");
      await joined(second, id, "ann");
      expect(second.get(id).tick).toBe(0);
      await second.close();
    });

    test("a state that can't be saved is told of; one too large ends the shard", async () => {
      const bad = shard({
        saveSeconds: 1,
        input: v.object({ fill: v.int() }),
        init: () => ({ n: 0, text: "" }),
        onInput: (state, _player, { fill }) => {
          state.n = Number.NaN;
          state.text = "x".repeat(fill);
        },
        view: () => null,
      });
      const setup = new Setup(isIsolated, { bad });
      const shards = setup.replica("one");
      const { connection, outlet } = await joined(shards, "bad", "ann");
      shards.input(connection, { fill: 1 }, { clientSeq: null });
      await setup.pass(1_500);
      expect(setup.failures[0]).toContain("save: TypeError: state.n is NaN");
      expect(outlet.closed).toBeNull();
      setup.definitions.set("bad", {
        ...bad,
        onInput: (state: { n: number; text: string }) => {
          state.n = 0;
          state.text = "x".repeat(2_000_000);
        },
      });
      shards.replace();
      shards.input(connection, { fill: 1 }, { clientSeq: null });
      await setup.pass(3_000);
      expect(setup.failures.at(-1)).toContain("The state has more than 1048576 bytes");
      expect(outlet.closed?.code).toBe(4410);
      await shards.close();
    });
  });

  describe("two replicas", () => {
    test("never run one shard at the same time: the lease decides", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const [one, two] = [setup.replica("one"), setup.replica("two")];
      const { outlet } = await joined(one, id, "ann");
      if (USES_POSTGRES) {
        expect(await codeOf(joined(two, id, "bob"))).toBe("SHARD_ELSEWHERE");
        // It is renewed for as long as the first runs.
        await setup.pass(40_000);
        expect(await codeOf(joined(two, id, "bob"))).toBe("SHARD_ELSEWHERE");
        await one.stop(id);
      }
      await joined(two, id, "bob");
      await setup.pass(6_000);
      expect(outlet.closed).not.toBeNull();
      expect(() => one.get(id)).toThrow("does not exist");
      expect(two.get(id).isRunning).toBe(true);
      await Promise.all([one.close(), two.close()]);
    });
  });

  describe("a slow reader", () => {
    test("is left out, then gets the newest view whole, and is cut off in the end", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const shards = setup.replica("one");
      const [slow, fast, old] = [new FakeOutlet(), new FakeOutlet(), new FakeOutlet(false)];
      await joined(shards, id, "slow", slow);
      await joined(shards, id, "fast", fast);
      await joined(shards, id, "old", old);
      await setup.pass(1_000);
      const { sent } = slow;
      expect(sent).toBeGreaterThan(10);
      slow.waiting = SHARD_BACKLOG_BYTES + 1;
      old.waiting = SHARD_BACKLOG_BYTES + 1;
      const views = old.views.length;
      await setup.pass(5_000);
      expect([slow.sent, old.views.length]).toEqual([sent, views]);
      const held = slow.sent;
      expect(setup.leftOut).toBeGreaterThan(150);
      slow.waiting = 0;
      await setup.pass(isIsolated ? 100 : 50);
      expect(slow.sent).toBe(held + 1);
      expect(slow.texts.at(-1)).toContain('"snapshot":');
      expect(slow.texts.at(-1)?.replace(/.*"snapshot"/, "")).toBe(
        `:${JSON.stringify(world.view?.(await stateOf(shards, id)))}}`,
      );
      await setup.pass(6_000);
      expect(old.closed).toEqual({ code: 1013, reason: "the client reads too slowly" });
      expect(slow.closed).toBeNull();
      // The others had every step.
      expect(fast.sent).toBeGreaterThan(220);
      await shards.close();
    });
  });

  describe("the tick", () => {
    test("has a fixed length, and goes on in step after a pause", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const shards = setup.replica("one");
      await joined(shards, id, "ann");
      await setup.pass(10_000);
      expect(shards.get(id).tick).toBe(200);
      // The machine stood still: the steps of that time are not caught up with.
      setup.spentMs += 5_000;
      await setup.pass(1_000);
      expect(shards.get(id).tick).toBeLessThanOrEqual(221);
      await shards.close();
    });

    test("a shard that needs too long is told of, and leaves as much time to others", async () => {
      let setup: Setup | null = null;
      const heavy = shard({
        tickRate: 20,
        input: v.any(),
        init: () => ({ n: 0 }),
        tick: (state) => {
          state.n += 1;
          if (setup !== null) setup.spentMs += 100;
        },
        view: (state) => state,
      });
      setup = new Setup(isIsolated, { heavy });
      const shards = setup.replica("one");
      await joined(shards, "heavy", "ann");
      const before = setup.platform.monotonic();
      await setup.pass(2_000);
      const { tick } = shards.get("heavy");
      // 100 ms of work a step: at most half of the time.
      expect((tick * 100) / (setup.platform.monotonic() - before)).toBeLessThan(0.6);
      expect(setup.overruns).toBe(tick);
      expect(setup.failures).toEqual(["overrun: 100 ms"]);
      await shards.close();
    });
  });

  test("a player stays for the grace time, and counts", async () => {
    const small = { ...world, maxPlayers: 1, graceSeconds: 5 };
    const setup = new Setup(isIsolated, { world: small });
    const id = fresh();
    const shards = setup.replica("one");
    const { connection } = await joined(shards, id, "ann");
    shards.leave(connection);
    await setup.pass(3_000);
    expect(await codeOf(joined(shards, id, "bob"))).toBe("SUBSCRIBE_FAILED");
    const back = await joined(shards, id, "ann");
    await setup.pass(10_000);
    shards.leave(back.connection);
    await setup.pass(7_000);
    await joined(shards, id, "bob");
    await setup.pass(1_000);
    const kinds = setup.recorded.flatMap((step) => step.events.map(({ kind }) => kind));
    expect(kinds).toEqual(["join", "leave", "join"]);
    await shards.close();
  });

  test("a shard nobody is let into does not stay, and mayJoin decides by the state", async () => {
    const closed = { ...world, mayJoin: ({ id }: { readonly id: string }) => id !== "eve" };
    const setup = new Setup(isIsolated, { world: closed });
    const id = fresh();
    const shards = setup.replica("one");
    expect(await codeOf(joined(shards, id, "eve"))).toBe("FORBIDDEN");
    expect(shards.list()).toEqual([]);
    await joined(shards, id, "ann");
    expect(await codeOf(joined(shards, id, "eve"))).toBe("FORBIDDEN");
    expect(shards.list().length).toBe(1);
    await shards.close();
    await settled();
  });

  test("results are handed to functions, and new code goes on with the old state", async () => {
    const match = shard({
      input: v.object({ win: v.boolean() }),
      init: () => ({ wins: 0 }),
      onInput: (state, { id }, _input, step) => {
        state.wins += 1;
        step.schedule("recordWin", { userId: id, wins: state.wins });
      },
      view: (state) => state,
    });
    const setup = new Setup(isIsolated, { match });
    const shards = setup.replica("one");
    const { connection, outlet } = await joined(shards, "match", "ann");
    shards.input(connection, { win: true }, { clientSeq: 1 });
    await setup.pass(200);
    expect(setup.scheduled).toEqual(['recordWin {"userId":"ann","wins":1}']);
    setup.definitions.set("match", { ...match, view: () => "new code" });
    shards.replace();
    await settled();
    await setup.pass(200);
    expect(outlet.texts.at(-1)).toContain("new code");
    setup.definitions.delete("match");
    shards.replace();
    expect(outlet.closed?.code).toBe(4410);
    expect(await codeOf(joined(shards, "match", "ann"))).toBe("SHARD_NOT_FOUND");
    await shards.close();
  });

  test("a code that does not start is refused, and the next start is tried again", async () => {
    let isBroken = true;
    const late = shard({
      input: v.any(),
      init: () => {
        if (isBroken) throw new Error("no map");
        return {};
      },
      view: () => 1,
    });
    const setup = new Setup(isIsolated, { late });
    const shards = setup.replica("one");
    expect(await codeOf(joined(shards, "late", "ann"))).toBe("HANDLER_ERROR");
    expect(setup.failures).toEqual(["init: Error: no map"]);
    isBroken = false;
    await joined(shards, "late", "ann");
    await shards.close();
  });

  describe("a session", () => {
    test("that ended or changed while its user joined takes the connection with it", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const shards = setup.replica("one");
      await joined(shards, id, "ann");
      for (const [status, code] of [
        ["revoked", 4401],
        ["changed", 1013],
      ] as const) {
        setup.status = () => status;
        const outlet = new FakeOutlet();
        expect(await codeOf(joined(shards, id, "bob", outlet))).toBe("UNAUTHORIZED");
        expect(outlet.closed?.code).toBe(code);
      }
      setup.status = () => {
        throw new Error("the database is away");
      };
      const outlet = new FakeOutlet();
      expect(await codeOf(joined(shards, id, "bob", outlet))).toBe("STORAGE_UNAVAILABLE");
      expect(outlet.closed?.code).toBe(1013);
      expect(setup.failures).toEqual(["shard can't be joined: Error: the database is away"]);
      await setup.pass(6_000);
      expect(shards.stats()).toEqual({ running: 1, players: 1, connections: 1 });
      await shards.close();
    });

    test("that changes sends its connections back, one that ends takes them with it", async () => {
      const setup = new Setup(isIsolated, { world });
      const id = fresh();
      const shards = setup.replica("one");
      const listeners: Record<string, (id: string) => void> = {};
      const on = (name: string) => (listener: (id: string) => void) => {
        listeners[name] = listener;
        return () => void delete listeners[name];
      };
      const stop = watchShardSessions(
        shards,
        { onEnd: on("end"), onChange: on("change"), onUserChange: on("user") },
        { onEnd: on("key") },
      );
      const [ann, bob] = [await joined(shards, id, "ann"), await joined(shards, id, "bob")];
      const outlet = new FakeOutlet();
      const identity = {
        caller: { ...ANONYMOUS, userId: "cleo", apiKeyId: "k1" },
        sessionId: null,
        expiresAt: setup.platform.now() + 3_000,
      };
      await shards.join({ shardId: id, subscriberId: "cleo", identity, outlet, ...PLAYER });
      const late = new FakeOutlet();
      await shards.join({ shardId: id, subscriberId: "cleo", identity, outlet: late, ...PLAYER });
      listeners["change"]?.("ann");
      expect([ann.outlet.closed?.code, bob.outlet.closed]).toEqual([1013, null]);
      listeners["end"]?.("bob");
      expect(bob.outlet.closed?.code).toBe(4401);
      await setup.pass(2_000);
      expect(late.closed).toBeNull();
      await setup.pass(2_000);
      expect([outlet.closed?.code, late.closed?.code]).toEqual([4401, 4401]);
      const key = new FakeOutlet();
      const lasting = { ...identity, expiresAt: Infinity };
      await shards.join({
        shardId: id,
        subscriberId: "cleo",
        identity: lasting,
        outlet: key,
        ...PLAYER,
      });
      listeners["key"]?.("k1");
      expect(key.closed?.code).toBe(4401);
      stop();
      expect(listeners).toEqual({});
      await shards.close();
    });
  });
});

describe("the thread of a shard", () => {
  const turning = (): Setup => new Setup(true, { world });

  test("that is stuck is ended alone, and the shard goes on from where it was saved", async () => {
    const setup = turning();
    const shards = setup.replica("one");
    const [stuck, other] = [fresh(), fresh()];
    const { outlet } = await joined(shards, stuck, "ann");
    const beside = await joined(shards, other, "bob");
    await setup.pass(7_000);
    const saved = shards.get(stuck).tick;
    await setup.pass(2_000);
    const [thread] = setup.threads;
    if (thread !== undefined) thread.isStuck = true;
    const before = shards.get(other).tick;
    await setup.pass(3_000);
    expect([outlet.closed, setup.lost]).toEqual([null, []]);
    await setup.pass(2_000);
    expect(outlet.closed).toEqual({ code: 1013, reason: "the shard is restarting" });
    expect([setup.lost, thread?.isTerminated]).toEqual([[`${stuck} stuck`], true]);
    expect(shards.get(other).tick - before).toBe(5 * 20);
    expect(beside.outlet.closed).toBeNull();
    await joined(shards, stuck, "ann");
    // Saved every five seconds.
    expect(saved - shards.get(stuck).tick).toBeLessThanOrEqual(5 * 20);
    expect(shards.get(stuck).tick).toBeGreaterThan(0);
    await shards.close();
  });

  test("that crashes over and over is started after longer and longer pauses", async () => {
    const setup = turning();
    const shards = setup.replica("one");
    const id = fresh();
    const pauses: number[] = [];
    for (let crash = 0; crash < 5; crash += 1) {
      let waited = 0;
      while ((await codeOf(joined(shards, id, "ann"))) === "SUBSCRIBE_FAILED") {
        await setup.pass(250);
        waited += 250;
      }
      pauses.push(waited);
      setup.threads.at(-1)?.onEnd(new Error("out of memory"));
      await settled();
    }
    expect(pauses).toEqual([0, 0, 500, 1000, 2000]);
    expect(setup.lost).toEqual(Array.from({ length: 5 }, () => `${id} crashed`));
    await shards.close();
  });

  test("takes inputs of a client that has its view before the join is answered", async () => {
    const setup = new Setup(true, { world });
    const shards = setup.replica("one");
    const id = fresh();
    await joined(shards, id, "host");
    const [thread] = setup.threads;
    if (thread !== undefined) thread.isLate = true;
    const outlet = new FakeOutlet();
    const joining = joined(shards, id, "ann", outlet);
    await settled();
    await setup.pass(100);
    expect(outlet.sent).toBeGreaterThan(0);
    const connection = shards.get(id).connectionOf("ann");
    if (connection === undefined) throw new Error("The client is not connected.");
    shards.input(connection, { push: 1 }, { clientSeq: 1 });
    await setup.pass(100);
    expect(setup.recorded.some(({ events }) => JSON.stringify(events).includes("push"))).toBe(true);
    if (thread !== undefined) thread.isLate = false;
    await setup.pass(100);
    expect((await joining).connection).toBe(connection);
    await shards.close();
  });

  test("is what a shard gets while one is spare, where it does not say", async () => {
    const setup = new Setup(true, { world, alone: { ...world, isolate: true } }, 1);
    const here = { ...world, isolate: false };
    setup.definitions.set("here", here);
    const shards = setup.replica("one");
    for (const [id, threads] of [
      ["here:1", 0],
      ["world:a", 1],
      ["world:b", 1],
      ["alone:1", 2],
    ] as const) {
      await joined(shards, id, id);
      expect(setup.threads.length).toBe(threads);
    }
    await shards.stop("world:a");
    await shards.stop("alone:1");
    await joined(shards, "world:c", "cleo");
    expect(setup.threads.length).toBe(3);
    expect(setup.threads.map(({ isTerminated }) => isTerminated)).toEqual([true, true, false]);
    await shards.close();
  });
});
