import { expect } from "bun:test";
import type { ShardDefinition } from "@pylonsync/functions";
import { playReplay } from "@pylonsync/functions/simulation";
import { LocalStorage } from "../../files/local-storage.ts";
import { ANONYMOUS } from "../../identity/identity.ts";
import { systemPlatform, type Platform } from "../../platform.ts";
import type { Store } from "../../store/store.ts";
import { ManualPlatform, turn } from "../../testing/manual-platform.ts";
import { JoinTokens } from "../join-tokens.ts";
import type { ShardCallServices } from "../shard-calls.ts";
import type { ShardConnection } from "../shard-connection.ts";
import { nameOf } from "../shard-host.ts";
import { ShardReplays } from "../shard-replays.ts";
import { ShardStorage } from "../shard-storage.ts";
import { Shards } from "../shards.ts";
import { LoopbackThread } from "./loopback-thread.ts";

/** The outlet of a client that ignores what it is sent. */
export const OUTLET = {
  takesDeltas: true,
  sendText: () => undefined,
  sendBytes: () => undefined,
  sendView: () => undefined,
  backlog: () => 0,
  close: () => undefined,
};

/** A server with one kind of shard that is recorded. */
export class RecordedShards {
  readonly manual = new ManualPlatform();
  readonly failures: string[] = [];
  readonly threads: LoopbackThread[] = [];
  readonly logged: string[] = [];
  /** Makes the calls of the shard. */
  perform: ShardCallServices["perform"] = () => Promise.reject(new Error("No call is expected."));
  readonly folder: string;
  readonly #store: Store;
  readonly platform: Platform = {
    ...systemPlatform,
    after: this.manual.after,
    every: this.manual.every,
    now: () => this.manual.now(),
    monotonic: () => this.manual.monotonic(),
  };
  readonly replays: ShardReplays;
  readonly shards: Shards;
  definition: ShardDefinition;

  constructor(
    definition: ShardDefinition,
    isIsolated: boolean,
    { store, folder }: { readonly store: Store; readonly folder: string },
  ) {
    this.definition = definition;
    this.#store = store;
    this.folder = folder;
    const failed = (what: string, error: unknown): void =>
      void this.failures.push(`${what}: ${String(error)}`);
    const { platform } = this;
    this.replays = new ShardReplays({
      store,
      files: new LocalStorage(this.folder, systemPlatform),
      platform,
      definitionOf: (id) => (nameOf(id) === "world" ? this.definition : undefined),
      codeOf: () => "abc",
      failed,
    });
    this.shards = this.#server(isIsolated, failed);
  }

  #server(isIsolated: boolean, failed: (what: string, error: unknown) => void): Shards {
    const { platform } = this;
    const store = this.#store;
    const shards = new Shards({
      definitions: () => new Map([["world", this.definition]]),
      threads: {
        sourceOf: (file) => (isIsolated ? { root: "", file } : undefined),
        start: () => {
          const thread = new LoopbackThread(platform, () => this.definition);
          this.threads.push(thread);
          return thread;
        },
        spare: Infinity,
      },
      tokens: new JoinTokens(store, platform),
      replays: this.replays,
      storage: new ShardStorage(store, platform, { id: crypto.randomUUID(), address: () => null }),
      platform,
      sessionStatus: async () => "valid",
      observer: {
        during: (_name, work) => work(),
        stepped: () => undefined,
        overran: () => undefined,
        throttled: () => undefined,
        threadEnded: () => undefined,
        failed: (_id, where, error) => failed(where, error),
        broke: (message, _id, error) => failed(message, error),
        input: () => undefined,
        leftOut: () => undefined,
        schedule: () => undefined,
        called: () => undefined,
        logged: (_id, { level, message, fields }) =>
          void this.logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
      },
      perform: (call) => this.perform(call),
    });
    shards.start();
    return shards;
  }

  join(shardId: string, userId: string): Promise<ShardConnection> {
    const identity = { caller: { ...ANONYMOUS, userId }, sessionId: userId, expiresAt: Infinity };
    const role = "player";
    const who = { shardId, subscriberId: userId, identity, role, isInvited: false } as const;
    return this.shards.join({ ...who, outlet: OUTLET });
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1000) {
      this.manual.advance(Math.min(1000, ms - passed));
      await turn();
      await this.#store.ping();
    }
  }

  async play(shardId: string, userId: string): Promise<ShardConnection> {
    const connection = await this.join(shardId, userId);
    for (let count = 0; count < 3; count += 1) {
      this.shards.input(connection, { dx: count / 3 }, { clientSeq: count });
      await this.pass(1000);
    }
    return connection;
  }

  /** Plays all recordings of a shard again. @returns the steps of each, the newest first */
  async check(shardId: string): Promise<(readonly [from: number, to: number])[]> {
    const runs: (readonly [number, number])[] = [];
    for (const row of await this.replays.list(shardId, null)) {
      const replay: object = JSON.parse((await this.replays.read(row)) ?? "");
      expect(replay).toMatchObject({ shard: shardId, code: "abc", tick_rate: 20 });
      const player = playReplay(this.definition, replay);
      player.seek(player.to);
      expect(player.verdict).toMatchObject({ isSame: true, differsAt: null });
      expect([row.fromTick, row.toTick]).toEqual([player.from, player.to]);
      runs.push([player.from, player.to]);
    }
    return runs;
  }
}
