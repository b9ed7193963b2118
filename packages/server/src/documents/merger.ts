import {
  MAX_DOCUMENT_BYTES,
  MAX_DOCUMENT_UPDATES_MS,
  MAX_WAITING_DOCUMENT_UPDATES,
} from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import { overloaded, refusedUpdate } from "./document-errors.ts";
import { KeyedQueues } from "../util/keyed-queues.ts";
import { MergeLane, type Outcome } from "./merge-lane.ts";
import type { DocumentBytes, DocumentTexts, Merged, MergeRequest } from "./merge-protocol.ts";
import { MergeTimes } from "./merge-times.ts";

/** A caller whose merges took this long shares a process with others like it, in milliseconds. */
const SLOW_MS = 1_000;
/** What it costs the others if a process must be replaced, in milliseconds. */
const REPLACEMENT_MS = 1_000;
/** How often a merge is attempted, if the process may have been damaged before. */
const MAX_ATTEMPTS = 3;

/** The library could not process the update, or the document. */
export class MergeFailed extends Error {
  override readonly name = "MergeFailed";
}

/** A merge that a server requests. */
export interface Merge {
  /** The state of the document before; null for a new document. */
  readonly state: string | null;
  /** Reads the document in that state, if the process does not have it. */
  readonly parts: () => Promise<DocumentBytes>;
  readonly nextState: string;
  readonly texts: DocumentTexts;
  readonly update: Uint8Array | null;
  readonly needsSnapshot: boolean;
  /** Callers take turns: the same text for all merges of a user or a network address. */
  readonly caller: string;
}

/**
 * Merges documents in separate processes. A caller whose merges take long is served by another
 * process than the others, with a low priority, and later not at all for some time.
 */
export class Merger {
  /** The maximum number of characters of all texts of a document. */
  readonly maxLength: number;
  readonly #fast: MergeLane;
  readonly #slow: MergeLane;
  readonly #times: MergeTimes;
  readonly #callers = new KeyedQueues();
  #running = 0;

  constructor(
    platform: Pick<Platform, "after" | "monotonic">,
    maxLength: number,
    onFailure: (message: string) => void,
  ) {
    this.maxLength = maxLength;
    this.#times = new MergeTimes(platform);
    this.#fast = new MergeLane({ platform, onFailure, isLowPriority: false });
    this.#slow = new MergeLane({ platform, onFailure, isLowPriority: true });
  }

  /**
   * @throws PylonError CRDT_DECODE_FAILED, CRDT_APPLY_FAILED, PAYLOAD_TOO_LARGE, OVERLOADED;
   *   MergeFailed
   */
  async merge({ parts, caller, ...merge }: Merge): Promise<Merged> {
    const limits = { maxLength: this.maxLength, maxBytes: MAX_DOCUMENT_BYTES };
    let request: MergeRequest = { ...merge, ...limits };
    for (let attempts = 1; ; attempts += 1) {
      let outcome = await this.#run(request, caller);
      if (outcome.answer.kind === "unknown") {
        request = { ...request, parts: await parts() };
        outcome = await this.#run(request, caller);
      }
      const { answer, wasUsed } = outcome;
      if (answer.kind === "too-slow") throw overloaded();
      if (answer.kind === "merged") return answer.merged;
      if (answer.kind === "refused") throw refusedUpdate(answer.refusal);
      // An earlier update may have damaged it, or others may have ended it. It is replaced.
      if (wasUsed && attempts < MAX_ATTEMPTS) continue;
      if (answer.kind === "ended") throw overloaded();
      throw new MergeFailed(JSON.stringify(answer));
    }
  }

  /** Ends the processes. Merges without a result are rejected. */
  close(): void {
    this.#fast.close();
    this.#slow.close();
  }

  /** @throws PylonError OVERLOADED */
  #laneOf({ update }: MergeRequest, caller: string): MergeLane {
    const spentMs = this.#times.of(caller);
    // A caller that only reads documents is slow, but never rejected.
    if (update !== null && spentMs >= MAX_DOCUMENT_UPDATES_MS)
      throw overloaded(this.#times.untilBelow(caller, MAX_DOCUMENT_UPDATES_MS));
    return spentMs < SLOW_MS ? this.#fast : this.#slow;
  }

  /** Runs one request of a caller at a time, because the time for it decides about the next. */
  async #run(request: MergeRequest, caller: string): Promise<Outcome> {
    if (this.#running >= MAX_WAITING_DOCUMENT_UPDATES) throw overloaded();
    this.#running += 1;
    try {
      return await this.#callers.run(caller, () =>
        this.#runOnce(this.#laneOf(request, caller), request, caller),
      );
    } finally {
      this.#running -= 1;
    }
  }

  async #runOnce(lane: MergeLane, request: MergeRequest, caller: string): Promise<Outcome> {
    const outcome = await lane.run(request, caller);
    this.#times.add(caller, outcome.ms + (mustBeReplaced(outcome) ? REPLACEMENT_MS : 0));
    return outcome;
  }
}

/** Whether a merge has cost the others a process. They may end one that they have used. */
function mustBeReplaced({ answer, wasUsed }: Outcome): boolean {
  if (answer.kind === "ended") return !wasUsed;
  return answer.kind === "failed" || answer.kind === "too-slow";
}
