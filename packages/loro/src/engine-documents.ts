import { decodeCrdtFrame } from "@pylonsync/protocol";
import type { SyncEngine } from "@pylonsync/sync";
import { CollabDocument } from "./collab-document.ts";
import { globalRegistry, LoroRegistry } from "./registry.ts";
import { rowName } from "./row-name.ts";

/** How long an unused document stays open, in milliseconds: a page may show it again. */
const LINGER_MS = 5_000;

interface OpenDocument {
  readonly document: CollabDocument;
  uses: number;
  cancelClose: () => void;
}

/** A document while it is used. */
export interface DocumentUse {
  readonly document: CollabDocument;
  /** Ends the use. */
  readonly release: () => void;
}

const byEngine = new Map<SyncEngine, EngineDocuments>();

/** The documents that are open in an engine. */
export class EngineDocuments {
  readonly registry: LoroRegistry;
  readonly #engine: SyncEngine;
  readonly #open = new Map<string, OpenDocument>();
  readonly #stop: () => void;

  constructor(engine: SyncEngine, registry: LoroRegistry) {
    this.#engine = engine;
    this.registry = registry;
    this.#stop = engine.onBinaryFrame((bytes) => {
      const frame = decodeCrdtFrame(bytes);
      if (frame === null) return;
      this.#open.get(rowName(frame.entity, frame.rowId))?.document.receive(frame);
    });
  }

  /** Returns a document that is open. */
  get(entity: string, rowId: string): CollabDocument | undefined {
    return this.#open.get(rowName(entity, rowId))?.document;
  }

  /** Opens a document; calls are counted. */
  use(entity: string, rowId: string): DocumentUse {
    const name = rowName(entity, rowId);
    const known = this.#open.get(name);
    const one = known ?? {
      document: new CollabDocument(this.#engine, this.registry, { entity, rowId }),
      uses: 0,
      cancelClose: () => undefined,
    };
    this.#open.set(name, one);
    one.cancelClose();
    one.uses += 1;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      one.uses -= 1;
      if (one.uses > 0) return;
      one.cancelClose = this.#engine.platform.after(LINGER_MS, () => {
        one.document.close();
        if (this.#open.get(name) === one) this.#open.delete(name);
      });
    };
    return { document: one.document, release };
  }

  /** Closes all documents. */
  close(): void {
    this.#stop();
    for (const { document, cancelClose } of this.#open.values()) {
      cancelClose();
      document.close();
    }
    this.#open.clear();
  }
}

/** Returns the documents of an engine. The first engine of a page uses `globalRegistry`. */
export function documentsOf(engine: SyncEngine): EngineDocuments {
  const known = byEngine.get(engine);
  if (known !== undefined) return known;
  const isFirst = [...byEngine.values()].every(({ registry }) => registry !== globalRegistry);
  const documents = new EngineDocuments(engine, isFirst ? globalRegistry : new LoroRegistry());
  byEngine.set(engine, documents);
  return documents;
}

/**
 * Closes all documents, and ends their subscriptions. Changes that are not sent yet are sent from
 * the engine's storage. A hook that is used afterwards opens its document again.
 *
 * @example
 * import { detachLoro } from "@pylonsync/loro";
 *
 * detachLoro();
 */
export function detachLoro(): void {
  for (const documents of byEngine.values()) documents.close();
  byEngine.clear();
}
