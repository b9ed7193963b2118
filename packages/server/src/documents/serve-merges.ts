/**
 * A process that merges documents for the server. The library is compiled code that can't be
 * interrupted, and that fails or may run for long on bytes that were made to harm it; a process can
 * be ended. It also keeps the library and the open documents out of the server's memory.
 */
import type { LoroDoc } from "loro-crdt";
import { merge, openDocument, RefusedUpdate } from "./merge.ts";
import type { MergeAnswer, MergeMessage, MergeRequest } from "./merge-protocol.ts";

/** The number of documents that stay open. */
const MAX_OPEN = 50;

/** Serves the requests of the parent process until the parent exits. */
export function serveMerges(): void {
  const documents = new OpenDocuments();
  // The library writes its failures here. A client can cause them, and the server reports them.
  Object.assign(console, { error: () => undefined });
  process.on("disconnect", () => process.exit(0));
  process.on("message", (request: MergeRequest) =>
    send({ ...answer(documents, request), memoryBytes: process.memoryUsage.rss() }),
  );
  send("ready");
}

function answer(documents: OpenDocuments, request: MergeRequest): MergeAnswer {
  try {
    const document = documents.take(request);
    if (document === null) return { kind: "unknown" };
    try {
      const merged = merge(document, request);
      documents.keep(request.nextState, document);
      return { kind: "merged", merged };
    } catch (error) {
      if (!(error instanceof RefusedUpdate)) throw error;
      document.free();
      return { kind: "refused", refusal: error.refusal };
    }
  } catch (error) {
    return { kind: "failed", message: String(error) };
  }
}

/** @throws Error if there is no parent process */
function send(message: MergeMessage): void {
  if (process.send === undefined) throw new Error("A merge process must be started by a server.");
  process.send(message);
}

/** The documents that were merged last, by their state. */
class OpenDocuments {
  readonly #byState = new Map<string, LoroDoc>();

  /** Takes the document, which the request changes. */
  take({ state, parts }: MergeRequest): LoroDoc | null {
    if (state === null) return openDocument([]);
    const open = this.#byState.get(state);
    this.#byState.delete(state);
    if (open !== undefined) return open;
    return parts === undefined ? null : openDocument(parts);
  }

  keep(state: string, document: LoroDoc): void {
    this.#byState.set(state, document);
    const [oldest] = this.#byState;
    if (oldest === undefined || this.#byState.size <= MAX_OPEN) return;
    this.#byState.delete(oldest[0]);
    oldest[1].free();
  }
}
