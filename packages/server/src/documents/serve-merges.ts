/**
 * A process that merges documents for the server. The library is compiled code that can't be
 * interrupted, and bytes that were made to harm it can make it fail, run for long or use much
 * memory; a process can be ended. It also keeps the library and the open documents out of the
 * server's memory.
 */
import { limitMemory } from "./memory-limit.ts";
import { close, RefusedUpdate, TextMerge, type OpenText } from "./merge.ts";
import type { MergeAnswer, MergeMessage, MergeRequest } from "./merge-protocol.ts";

/** The memory of the library, in bytes: many times as much as the largest document needs. */
const MAX_MEMORY_BYTES = 512 * 1024 * 1024;
/** The documents that stay open: their number, and the sum of their sizes in bytes. */
const MAX_OPEN = 50;
const MAX_OPEN_BYTES = 4 * 1024 * 1024;

/** Serves the requests of the parent process until the parent exits. */
export async function serveMerges(): Promise<void> {
  process.on("disconnect", () => process.exit(0));
  // The library writes its failures here. A client can cause them, and the server reports them.
  Object.assign(console, { error: () => undefined });
  limitMemory(MAX_MEMORY_BYTES);
  const documents = new OpenDocuments(new TextMerge(await import("loro-crdt/base64")));
  process.on("message", (request: MergeRequest) =>
    send({ ...documents.answer(request), memoryBytes: process.memoryUsage.rss() }),
  );
  send("ready");
}

/** @throws Error if there is no parent process */
function send(message: MergeMessage): void {
  if (process.send === undefined) throw new Error("A merge process must be started by a server.");
  process.send(message);
}

/** A document in memory, with the approximate size of its stored form. */
interface OpenDocument {
  readonly document: OpenText;
  readonly bytes: number;
}

/** The documents that were merged last, by their state. */
class OpenDocuments {
  readonly #library: TextMerge;
  readonly #byState = new Map<string, OpenDocument>();
  #bytes = 0;

  constructor(library: TextMerge) {
    this.#library = library;
  }

  answer(request: MergeRequest): MergeAnswer {
    try {
      const open = this.#take(request);
      if (open === null) return { kind: "unknown" };
      try {
        const merged = this.#library.merge(open.document, request);
        this.#keep(request.nextState, {
          document: open.document,
          bytes: merged.snapshot?.length ?? open.bytes + (merged.changes?.length ?? 0),
        });
        return { kind: "merged", merged };
      } catch (error) {
        if (!(error instanceof RefusedUpdate)) throw error;
        close(open.document);
        return { kind: "refused", refusal: error.refusal };
      }
    } catch (error) {
      return { kind: "failed", message: String(error) };
    }
  }

  /** Takes the document, which the request changes. */
  #take({ state, parts }: MergeRequest): OpenDocument | null {
    if (state === null) return { document: this.#library.open([]), bytes: 0 };
    const open = this.#byState.get(state);
    if (open !== undefined) {
      this.#byState.delete(state);
      this.#bytes -= open.bytes;
      return open;
    }
    if (parts === undefined) return null;
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    return { document: this.#library.open(parts), bytes };
  }

  #keep(state: string, open: OpenDocument): void {
    this.#byState.set(state, open);
    this.#bytes += open.bytes;
    for (const [oldest, { document, bytes }] of this.#byState) {
      if (this.#byState.size <= MAX_OPEN && this.#bytes <= MAX_OPEN_BYTES) return;
      this.#byState.delete(oldest);
      this.#bytes -= bytes;
      close(document);
    }
  }
}
