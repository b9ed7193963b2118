import { promisify } from "node:util";
import {
  recordRulesOf,
  type CompleteRecordRules,
  type ShardDefinition,
} from "@pylonsync/functions";
import { tickRateOf, type RecordingPiece } from "@pylonsync/functions/simulation";
import { and } from "@pylonsync/query";
import { MAX_REPLAYS, MAX_REPLAY_BYTES, MAX_SHARD_STATE_BYTES } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { isoTime, type RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const { shardReplays: REPLAYS } = SYSTEM_TABLES;
const DAY_MS = 24 * 60 * 60_000;
/** The maximum size of an unpacked recording: its initial state, its steps and the rest. */
const MAX_FILE_BYTES = MAX_SHARD_STATE_BYTES * 2 + MAX_REPLAY_BYTES * 4;

/** Stores the content of recordings: the storage of files. */
export interface ReplayFiles {
  put(
    id: string,
    content: AsyncIterable<Uint8Array>,
    options: { readonly contentType: string },
  ): Promise<void>;
  get(
    id: string,
    range: { readonly start: number; readonly end: number },
  ): Promise<ReadableStream<Uint8Array> | Blob | null>;
  info(id: string): Promise<{ readonly size: number } | null>;
  delete(id: string, multipartId: string | null): Promise<void>;
}

/** The services that recordings use. */
export interface ReplayServices {
  readonly store: Store;
  readonly files: ReplayFiles;
  readonly platform: Pick<Platform, "now" | "uuid">;
  /** Returns the definition of a shard by its id; undefined if it no longer exists. */
  readonly definitionOf: (shardId: string) => ShardDefinition | undefined;
  /** Returns the hash of a shard's code by its id; null if it was not loaded from files. */
  readonly codeOf: (shardId: string) => string | null;
  readonly failed: (shardId: string, error: unknown) => void;
}

/** The row of a stored recording. */
export type StoredReplay = RowOf<typeof REPLAYS>;

/** A recording in progress. */
interface OpenReplay {
  readonly rules: CompleteRecordRules;
  readonly tickRate: number;
  readonly code: string | null;
  readonly startedAt: number;
  readonly fromTick: number;
  readonly initial: string;
  readonly players: Set<string>;
  readonly steps: string[];
  readonly checkpoints: string[];
  toTick: number;
}

/** Recordings of shards: collected while a shard runs, and stored as files with a row each. */
export class ShardReplays {
  readonly #services: ReplayServices;
  readonly #open = new Map<string, OpenReplay>();
  readonly #writing = new Set<Promise<void>>();

  constructor(services: ReplayServices) {
    this.#services = services;
  }

  /** Receives a piece of the recording of a shard. */
  take(shardId: string, piece: RecordingPiece): void {
    if (piece.kind === "begin") return this.#begin(shardId, piece);
    const open = this.#open.get(shardId);
    if (open === undefined) return;
    open.toTick = piece.tick;
    if (piece.kind === "checkpoint") {
      open.checkpoints.push(`[${piece.tick},"${piece.hash}"]`);
      return;
    }
    open.steps.push(piece.text);
    for (const id of piece.joined) open.players.add(id);
  }

  /**
   * Ends the recording of a shard, and stores it if it has any steps.
   *
   * @param hasRunEnded whether the run can't continue; then `openRun` is called
   */
  finish(shardId: string, hasRunEnded: boolean): void {
    const open = this.#open.get(shardId);
    this.#open.delete(shardId);
    if (open === undefined || (open.steps.length === 0 && !hasRunEnded)) return;
    const before = [...this.#writing];
    const writing = this.#keep(shardId, open, hasRunEnded, before)
      .catch((error: unknown) => this.#services.failed(shardId, error))
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  /** Resolves once all ended recordings are stored. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /**
   * Returns the recordings of a shard that a user may play, the newest first.
   *
   * @param userId null for the admin, who may play all
   */
  async list(shardId: string, userId: string | null): Promise<StoredReplay[]> {
    const where = REPLAYS.is("shard", shardId);
    const order = [{ field: "startedAt", direction: "desc" } as const];
    const rows = await REPLAYS.select(this.#services.store, { where, order, limit: MAX_LISTED });
    return rows.filter((row) => this.#isOpenTo(row, userId));
  }

  /** Returns one recording; null if it does not exist or the user may not play it. */
  async get(shardId: string, id: string, userId: string | null): Promise<StoredReplay | null> {
    const row = await REPLAYS.get(this.#services.store, id);
    return row === null || row.shard !== shardId || !this.#isOpenTo(row, userId) ? null : row;
  }

  /**
   * Called when the run of a shard can't continue: from now on, the users that `access` allows may
   * play its recordings.
   */
  async openRun(shardId: string): Promise<void> {
    const openAt = this.#services.platform.now();
    const where = and(
      REPLAYS.is("shard", shardId),
      REPLAYS.is("openAt", null),
      REPLAYS.isUpTo("startedAt", openAt),
    );
    await this.#services.store.transact(async (tx) => {
      for (const { id } of await REPLAYS.select(tx, { where, limit: MAX_LISTED }))
        await REPLAYS.update(tx, id, { openAt });
    });
  }

  /** Returns the JSON of a recording; null if its file no longer exists. */
  async read({ id }: StoredReplay): Promise<string | null> {
    const { files } = this.#services;
    const info = await files.info(id);
    if (info === null) return null;
    const content = await files.get(id, { start: 0, end: info.size - 1 });
    if (content === null) return null;
    const bytes = await new Response(content).arrayBuffer();
    const { gunzip } = await import("node:zlib");
    const text = await promisify(gunzip)(bytes, { maxOutputLength: MAX_FILE_BYTES });
    return text.toString();
  }

  async delete({ id }: StoredReplay): Promise<void> {
    const { store, files } = this.#services;
    // The file first: a row without a file is found again, a file without a row is not.
    await files.delete(id, null);
    await store.transact((tx) => REPLAYS.delete(tx, id));
  }

  /** Deletes expired recordings, and the oldest ones above the limit for all replicas. */
  async forgetOld(): Promise<void> {
    const { store, platform } = this.#services;
    const where = REPLAYS.isBelow("expiresAt", platform.now());
    const order = [{ field: "startedAt", direction: "asc" } as const];
    const over = await REPLAYS.select(store, { where, limit: MAX_FORGOTTEN });
    const excess = Math.min(MAX_FORGOTTEN, (await REPLAYS.count(store)) - MAX_REPLAYS);
    if (excess > 0) over.push(...(await REPLAYS.select(store, { order, limit: excess })));
    for (const row of over) await this.delete(row);
  }

  /** Users get no access while `openAt` is null: a recording contains the run's hidden state. */
  #isOpenTo({ access, players, expiresAt, openAt }: StoredReplay, userId: string | null): boolean {
    if (expiresAt <= this.#services.platform.now()) return false;
    if (userId === null) return true;
    if (openAt === null) return false;
    return access === "everyone" || (access === "players" && players.includes(userId));
  }

  #begin(shardId: string, { tick, saved, players }: RecordingPiece & { kind: "begin" }): void {
    this.finish(shardId, false);
    const { definitionOf, codeOf, platform } = this.#services;
    const definition = definitionOf(shardId);
    const rules = recordRulesOf(definition?.record);
    if (definition === undefined || rules === null) return;
    this.#open.set(shardId, {
      rules,
      tickRate: tickRateOf(definition),
      code: codeOf(shardId),
      startedAt: platform.now(),
      fromTick: tick,
      toTick: tick,
      initial: saved,
      players: new Set(players),
      steps: [],
      checkpoints: [],
    });
  }

  /** @param before the earlier recordings that are still being stored */
  async #keep(
    shardId: string,
    open: OpenReplay,
    isRunOver: boolean,
    before: readonly Promise<void>[],
  ): Promise<void> {
    if (open.steps.length > 0) await this.#write(shardId, open);
    if (!isRunOver) return;
    await Promise.all(before);
    await this.openRun(shardId);
  }

  async #write(shardId: string, open: OpenReplay): Promise<void> {
    const { store, files, platform } = this.#services;
    const { rules, startedAt, fromTick, toTick, tickRate, code, players } = open;
    const [id, endedAt] = [platform.uuid(), platform.now()];
    const { gzip } = await import("node:zlib");
    const bytes = await promisify(gzip)(textOf(shardId, open, endedAt));
    await files.put(id, new Blob([bytes]).stream(), { contentType: "application/gzip" });
    const row: StoredReplay = {
      id,
      shard: shardId,
      startedAt,
      endedAt,
      expiresAt: endedAt + rules.keepDays * DAY_MS,
      fromTick,
      toTick,
      tickRate,
      code,
      bytes: bytes.length,
      access: rules.access,
      openAt: rules.duringRun ? endedAt : null,
      players: [...players],
    };
    await store.transact((tx) => REPLAYS.insert(tx, row));
    await this.#deleteOldest(shardId, rules.keep);
  }

  async #deleteOldest(shardId: string, keep: number): Promise<void> {
    const { store } = this.#services;
    const where = REPLAYS.is("shard", shardId);
    const excess = (await REPLAYS.count(store, where)) - keep;
    if (excess <= 0) return;
    const order = [{ field: "startedAt", direction: "asc" } as const];
    for (const row of await REPLAYS.select(store, { where, order, limit: excess }))
      await this.delete(row);
  }
}

/** The maximum length of a list, which is the maximum number of recordings per shard. */
const MAX_LISTED = 1000;
/** The maximum number of expired, and of excess, recordings deleted per maintenance run. */
const MAX_FORGOTTEN = 500;

/** Joins texts whose values are exact; `JSON.stringify` would lose values such as -0. */
function textOf(shardId: string, open: OpenReplay, endedAt: number): string {
  const { code, tickRate, fromTick, toTick, startedAt, initial, steps, checkpoints } = open;
  const known = JSON.stringify({
    format: "pylon.replay",
    version: 1,
    shard: shardId,
    code,
    tick_rate: tickRate,
    from_tick: fromTick,
    to_tick: toTick,
    started_at: isoTime(startedAt),
    ended_at: isoTime(endedAt),
  });
  const lists = `"steps":[${steps.join(",")}],"checkpoints":[${checkpoints.join(",")}]`;
  return `${known.slice(0, -1)},"initial":${initial},${lists}}`;
}
