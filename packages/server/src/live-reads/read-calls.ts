import {
  LIVE_AGGREGATE,
  LIVE_SEARCH,
  MAX_LIVE_RESULT_BYTES,
  MAX_SUBSCRIPTION_TERMS,
  PylonError,
} from "@pylonsync/protocol";
import { hasExists, type Expr } from "@pylonsync/query";
import type { DataModel } from "../data/model.ts";
import { ReadLog } from "../data/read-log.ts";
import { readerAt } from "../data/reader-at.ts";
import { Reads, type ReadParts, type ReadScope } from "../data/reads.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Caller } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { networkOf } from "../util/network.ts";
import type { RateLimiter } from "../request/rate-limit.ts";
import { toPublicError } from "../request/responses.ts";
import type { Reader, Store } from "../store/store.ts";
import type {
  LiveCall,
  LiveCallTerms,
  LiveFunctionCalls,
  LiveOutcome,
} from "../sync/live-functions/calls.ts";
import { termsIn } from "../sync/live/parse-query.ts";
import { searchesIn } from "../sync/live/subscription-weight.ts";
import { isRecord } from "../util/is-record.ts";
import { sha256 } from "../util/sha256.ts";

/**
 * The pause between two runs of a read, in milliseconds: a read that takes long is repeated less
 * often, so that one subscription uses at most a quarter of a reader. `LIVE_RUNS` has the least
 * pause of all live functions.
 */
const PAUSE_MS = { longest: 10_000, perMsOfRead: 4 };

/** A read that clients can follow. */
interface LiveRead {
  /** Everything that determines the result for a caller. */
  parts(reads: Reads, entity: string, spec: unknown): ReadParts;
  /** @returns the response, and the part of it that subscribers are told about when it changes */
  run(reads: Reads, entity: string, spec: unknown): Promise<{ body: object; compared: object }>;
}

const READS: ReadonlyMap<string, LiveRead> = new Map<string, LiveRead>([
  [
    LIVE_AGGREGATE,
    {
      parts: (reads, entity, spec) => reads.partsOfAggregate(entity, spec),
      run: async (reads, entity, spec) => {
        const body = { rows: await reads.aggregate(entity, spec) };
        return { body, compared: body };
      },
    },
  ],
  [
    LIVE_SEARCH,
    {
      parts: (reads, entity, spec) => reads.partsOfSearch(entity, spec),
      run: async (reads, entity, spec) => {
        const body = await reads.search(entity, spec);
        // The duration is another one each time.
        return { body, compared: { ...body, tookMs: 0 } };
      },
    },
  ],
]);

/** The dependencies of live reads. */
export interface ReadCallsOptions {
  /** The other functions that clients subscribe to. */
  readonly functions: LiveFunctionCalls;
  readonly store: Store;
  readonly model: () => DataModel;
  readonly platform: Pick<Platform, "now" | "monotonic">;
  /** The maximum duration of one read, in milliseconds. */
  readonly timeoutMs: number;
  /** Counts new subscriptions by address, like the requests that they replace. */
  readonly limiter: Pick<RateLimiter, "count">;
}

/**
 * Aggregates and searches that clients subscribe to as live functions, with the caller's policies.
 * Callers for whom the policies come to the same conditions share one run.
 */
export class ReadCalls implements LiveFunctionCalls {
  readonly #options: ReadCallsOptions;

  constructor(options: ReadCallsOptions) {
    this.#options = options;
  }

  check(name: string, args: Readonly<Record<string, unknown>>, caller: Caller): LiveCallTerms {
    const read = READS.get(name);
    if (read === undefined) return this.#options.functions.check(name, args, caller);
    const { entity, spec } = askedIn(args);
    checkKeyScope(caller, "read", { entity });
    const parts = read.parts(this.#reads(this.#options.store, caller), entity, spec);
    checkTerms(parts.where);
    const searches = searchesIn(parts);
    return { audience: sha256(JSON.stringify(parts)), isRead: true, searches };
  }

  count(name: string, caller: Caller, address: string): Promise<void> {
    return READS.has(name)
      ? this.#options.limiter.count(() => networkOf(address))
      : this.#options.functions.count(name, caller, address);
  }

  async run(call: LiveCall): Promise<LiveOutcome> {
    const read = READS.get(call.name);
    if (read === undefined) return this.#options.functions.run(call);
    const { platform } = this.#options;
    const log = new ReadLog();
    const startedAt = platform.monotonic();
    const outcome = await this.#outcome(read, call, log);
    const needed = (platform.monotonic() - startedAt) * PAUSE_MS.perMsOfRead;
    const pauseMs = Math.min(PAUSE_MS.longest, needed);
    const { reads, isTimed } = log;
    return { ...outcome, reads, isTimed, readsCaller: false, pauseMs };
  }

  async #outcome(
    read: LiveRead,
    { args, caller, readerShare, signal }: LiveCall,
    log: ReadLog,
  ): Promise<Pick<LiveOutcome, "result" | "compared">> {
    const { store, platform, timeoutMs } = this.#options;
    const { entity, spec } = askedIn(args);
    const now = new Date(platform.now()).toISOString();
    const limits = { caller: readerShare(), timeoutMs };
    try {
      const { body, compared } = await store.snapshot(
        (reader) => {
          // The snapshot may run again.
          log.clear();
          const watched = log.watch(readerAt(reader, now));
          return read.run(this.#reads(watched, caller), entity, spec);
        },
        limits,
        signal,
      );
      const result = JSON.stringify(body);
      if (Buffer.byteLength(result) > MAX_LIVE_RESULT_BYTES) return { result: tooLarge() };
      return { result, compared: body === compared ? result : JSON.stringify(compared) };
    } catch (error) {
      const shown = toPublicError(error);
      if (shown === undefined) throw error;
      return { result: shown };
    }
  }

  /** Its conditions keep `now()`: the run may be shared for long, and changes follow later. */
  #reads(reader: Reader, caller: Caller): Reads {
    const { model, platform } = this.#options;
    const { monotonic } = platform;
    const scope: ReadScope = { caller, policies: "enforced", now: null, monotonic };
    return new Reads(reader, model(), scope);
  }
}

/** @throws PylonError INVALID_ARGS */
function askedIn(args: Readonly<Record<string, unknown>>): {
  readonly entity: string;
  readonly spec: unknown;
} {
  const { entity, spec, ...rest } = args;
  const [unknown] = Object.keys(rest);
  if (unknown === undefined && typeof entity === "string" && isRecord(spec))
    return { entity, spec };
  throw new PylonError("INVALID_ARGS", "A live read takes an entity and a spec.", {
    field: unknown?.slice(0, 80) ?? (typeof entity === "string" ? "spec" : "entity"),
    hint: 'Pass { entity: "Todo", spec: { count: true } }.',
  });
}

/**
 * Clients request a read with more conditions when rows have changed.
 *
 * @throws PylonError SUBSCRIPTION_LIMIT_REACHED
 */
function checkTerms(where: Expr): void {
  // With a condition on related rows, none is evaluated for a change.
  if (hasExists(where) || termsIn(where) <= MAX_SUBSCRIPTION_TERMS) return;
  throw new PylonError(
    "SUBSCRIPTION_LIMIT_REACHED",
    `The filter of a live read may have at most ${MAX_SUBSCRIPTION_TERMS} conditions.`,
    { hint: "Request it instead, or use $in in place of $or." },
  );
}

function tooLarge(): PylonError {
  return new PylonError(
    "RESULT_TOO_LARGE",
    `The result of a live read may have at most ${MAX_LIVE_RESULT_BYTES} bytes.`,
    { hint: "Group by a field with fewer values, or return smaller pages." },
  );
}
