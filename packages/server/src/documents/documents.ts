import { isRowId, PylonError } from "@pylonsync/protocol";
import type { CascadeDelete, Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import type { Writer } from "../data/writer.ts";
import type { Caller } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { Entity } from "../schema/schema.ts";
import type { Reader, Store, StoredRow, Transaction } from "../store/store.ts";
import { KeyedQueues } from "../util/keyed-queues.ts";
import { overloaded, refusedUpdate } from "./document-errors.ts";
import {
  DocumentStore,
  hasTexts,
  missingParts,
  textsOf,
  type DocumentChange,
  type DocumentPart,
  type StoredDocument,
} from "./document-store.ts";
import type { Merged } from "./merge-protocol.ts";
import { MergeFailed, type Merger } from "./merger.ts";

/** The dependencies of documents. */
export interface DocumentsOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly platform: Pick<Platform, "now" | "random">;
  readonly merger: Pick<Merger, "merge" | "maxLength">;
}

/** A client's update of the document of a row. */
export interface DocumentUpdate {
  readonly entity: string;
  readonly rowId: string;
  readonly update: Uint8Array;
  /** The length of all texts after the updates that the client will send, if it says so. */
  readonly length: number | null;
}

/** A version of a document. */
export interface DocumentVersion {
  readonly id: string;
  readonly version: number;
}

/** The row that a document belongs to. */
interface DocumentRow {
  readonly entity: Entity;
  readonly row: StoredRow;
}

/** A merge that was prepared before the transaction in which it is stored. */
interface Prepared extends DocumentRow {
  /** The document to which it applies; null if it creates the document. */
  readonly document: StoredDocument | null;
  readonly change: DocumentChange & Pick<Merged, "touched">;
}

/** The inputs of a merge besides the document and its row. */
interface MergeInput {
  /** Null: the document is brought to the texts of the row. */
  readonly update: Uint8Array | null;
  /** See `Merge.caller`. */
  readonly share: string;
}

/** The row or the document was changed after a merge was prepared. */
class Outdated extends Error {
  override readonly name = "Outdated";
}

/** How often a merge is prepared, because others changed the document meanwhile. */
const MAX_ATTEMPTS = 10;
/** The number of attempts after which the document is locked during the merge. */
const UNLOCKED_ATTEMPTS = 3;
/** Documents are stored for callers that may read them, even if they may not write the row. */
const SERVER = { policies: "bypassed" } as const;

/**
 * The documents of rows: texts that several users edit at the same time. A row has no document
 * until it is needed, and its columns decide: a write of a column changes only the row, and the
 * document is brought to the row's texts before it is read or changed the next time. So no
 * transaction, for which other writes may wait, ever waits for a merge.
 */
export class Documents implements CascadeDelete {
  readonly store: DocumentStore;
  readonly #options: DocumentsOptions;
  /** Merges of one document run one after another, so that they do not outdate each other. */
  readonly #queues = new KeyedQueues();

  constructor(options: DocumentsOptions) {
    this.#options = options;
    this.store = new DocumentStore(options.platform);
  }

  /**
   * The entity, if its rows have documents.
   *
   * @throws PylonError ENTITY_NOT_FOUND, NOT_SUPPORTED
   */
  entity(name: string): Entity {
    const entity = this.#options.model().entity(name);
    if (entity.documentFields.length > 0) return entity;
    throw new PylonError("NOT_SUPPORTED", `${entity.name} has no texts that are merged.`, {
      field: "entity",
      hint: 'Declare one with field.richtext(), or with field.string().crdt("text").',
    });
  }

  /** The entity, or null if its rows have no documents. */
  find(name: string): Entity | null {
    const entity = this.#options.model().schema.find(name);
    return entity === undefined || entity.documentFields.length === 0 ? null : entity;
  }

  /** Whether the caller may read the row, and every text of its document. */
  async mayRead(entity: Entity, row: StoredRow, caller: Caller): Promise<boolean> {
    const { store, model, platform } = this.#options;
    const { rules } = model();
    const { fields } = rules.seenBy(entity, caller).publicShape;
    if (!entity.documentFields.every((field) => fields.has(field))) return false;
    return rules.allows(store, entity.name, "read", new RuleEnv(caller, platform.now(), row));
  }

  /**
   * The document of a row with the row's texts.
   *
   * @param share see `Merge.caller`
   * @returns null if the row does not exist
   * @throws PylonError OVERLOADED
   */
  current(
    entity: Entity,
    rowId: string,
    caller: Caller,
    share: string,
  ): Promise<StoredDocument | null> {
    return this.#queues.run(`${entity.name}/${rowId}`, () =>
      this.#ensure(entity, rowId, caller, share),
    );
  }

  /**
   * Returns what a caller without a socket lacks of a document.
   *
   * @param known the document and the version that the caller has; null if none
   * @throws PylonError NOT_FOUND, NOT_SUPPORTED, OVERLOADED
   */
  async read(
    caller: Caller,
    share: string,
    entity: Entity,
    rowId: string,
    known: DocumentVersion | null,
  ): Promise<DocumentVersion & { readonly parts: readonly DocumentPart[] }> {
    const { store } = this.#options;
    await this.#readable(entity, caller, rowId);
    const document = await this.current(entity, rowId, caller, share);
    if (document === null) throw notFound(entity, rowId);
    const { id } = document;
    // After a backup was restored, the caller may have a version that the document never had.
    const isKnown = known?.id === id && known.version <= document.version;
    const version = isKnown ? known.version : 0;
    const parts = missingParts(version, await this.store.partsFor(store, document, version));
    // The permissions are checked after the document was read, so that they are at least as new.
    await this.#readable(entity, caller, rowId);
    return { id, version: parts.at(-1)?.version ?? version, parts };
  }

  /** @throws PylonError NOT_FOUND */
  async #readable(entity: Entity, caller: Caller, rowId: string): Promise<StoredRow> {
    const row = isRowId(rowId) ? await this.#options.store.get(entity.name, rowId) : null;
    if (row !== null && (await this.mayRead(entity, row, caller))) return row;
    throw notFound(entity, rowId);
  }

  /**
   * Applies an update of a client, with the caller's permissions. An update that was already
   * applied changes nothing.
   *
   * @throws PylonError NOT_FOUND, NOT_SUPPORTED, CRDT_DECODE_FAILED, CRDT_APPLY_FAILED,
   *   PAYLOAD_TOO_LARGE, and those of a write of the texts
   */
  async push(caller: Caller, share: string, request: DocumentUpdate): Promise<void> {
    const entity = this.entity(request.entity);
    const { rowId, update } = request;
    await this.#checkAccess(entity, caller, rowId);
    // Otherwise the first part of a text that is too long would be accepted.
    if ((request.length ?? 0) > this.#options.merger.maxLength)
      throw refusedUpdate({ kind: "too-large" });
    const { store, committer } = this.#options;
    await this.#queues.run(`${entity.name}/${rowId}`, () =>
      this.#untilCurrent(async (attempt) => {
        const document = await this.#ensure(entity, rowId, caller, share);
        const row = document && (await store.get(entity.name, rowId));
        if (row === null) throw notFound(entity, rowId);
        const prepared = await this.#prepare(store, { entity, row }, document, { update, share });
        if (prepared.change.changes === null) return;
        await committer.commit({ caller }, async (writer) => {
          if (attempt <= UNLOCKED_ATTEMPTS) await this.#apply(writer, prepared);
          else await this.#applyLocked(writer, prepared, { update, share });
        });
      }),
    );
  }

  /** @throws PylonError NOT_FOUND, POLICY_DENIED */
  async #checkAccess(entity: Entity, caller: Caller, rowId: string): Promise<void> {
    const { store, model, platform } = this.#options;
    const row = await this.#readable(entity, caller, rowId);
    const env = new RuleEnv(caller, platform.now(), row, row);
    if (await model().rules.allows(store, entity.name, "update", env)) return;
    throw new PylonError(
      "POLICY_DENIED",
      `The policies of ${entity.name} do not allow this update.`,
      {
        hint: `See allowUpdate, allowWrite and allow in the policies that name ${entity.name}.`,
      },
    );
  }

  /** Repeats work that prepares a merge and stores it, until no one else was faster. */
  async #untilCurrent<T>(work: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      try {
        return await work(attempt);
      } catch (error) {
        if (!(error instanceof Outdated)) throw error;
      }
    }
    throw overloaded();
  }

  #ensure(
    entity: Entity,
    rowId: string,
    caller: Caller,
    share: string,
  ): Promise<StoredDocument | null> {
    const { store, committer } = this.#options;
    return this.#untilCurrent(async () => {
      const row = await store.get(entity.name, rowId);
      if (row === null) return null;
      const document = await this.store.find(store, entity.name, rowId);
      if (document !== null && hasTexts(document, textsOf(entity, row))) return document;
      const prepared = await this.#bring({ entity, row }, document, share);
      const { result } = await committer.commit({ caller, ...SERVER }, ({ transaction: tx }) =>
        this.#put(tx, prepared, document),
      );
      return result;
    });
  }

  /** Brings a document to the texts of its row. */
  async #bring(of: DocumentRow, document: StoredDocument | null, share: string): Promise<Prepared> {
    try {
      return await this.#prepare(this.#options.store, of, document, { update: null, share });
    } catch (error) {
      if (!(error instanceof MergeFailed) || document === null) throw error;
      // The library can't process the document: it is replaced by a new one.
      return this.#prepare(this.#options.store, of, null, { update: null, share });
    }
  }

  /** @param before the document that is stored */
  async #put(
    tx: Transaction,
    prepared: Prepared,
    before: StoredDocument | null,
  ): Promise<StoredDocument> {
    const { entity, row, document, change } = prepared;
    await this.#requireUnchanged(tx, prepared, before);
    if (document !== null) return this.store.append(tx, document, change);
    if (before !== null) await this.store.delete(tx, entity.name, row.id);
    return this.store.insert(tx, entity.name, row.id, change);
  }

  async #apply(writer: Writer, prepared: Prepared): Promise<void> {
    const { entity, row, document, change } = prepared;
    const { transaction: tx } = writer;
    await this.#requireUnchanged(tx, prepared, document);
    if (document !== null) await this.store.append(tx, document, change);
    // A text that was only formatted is written too, because its policies apply.
    const texts = change.touched.map((field) => [field, textFor(row, field, change)]);
    if (!(await writer.update(entity.name, row.id, Object.fromEntries(texts))))
      throw notFound(entity, row.id);
  }

  /**
   * Merges in the transaction, for an update that was outdated several times: the merges of another
   * replica are faster. The update is harmless, because it was merged before.
   */
  async #applyLocked(
    writer: Writer,
    { entity, row }: DocumentRow,
    input: MergeInput,
  ): Promise<void> {
    const { transaction: tx } = writer;
    const document = await this.store.find(tx, entity.name, row.id);
    if (document === null) throw new Outdated();
    await this.store.lock(tx, document);
    const current = await tx.get(entity.name, row.id);
    if (current === null) throw notFound(entity, row.id);
    const of = { entity, row: current };
    await this.#apply(writer, await this.#prepare(tx, of, document, input));
  }

  /** @throws Outdated */
  async #requireUnchanged(
    reader: Reader,
    { entity, row }: DocumentRow,
    document: StoredDocument | null,
  ): Promise<void> {
    const current = await reader.get(entity.name, row.id);
    const stored = await this.store.find(reader, entity.name, row.id);
    const isSameRow =
      current !== null && entity.documentFields.every((field) => current[field] === row[field]);
    if (!isSameRow || stored?.state !== document?.state) throw new Outdated();
  }

  /** @throws PylonError; MergeFailed if there is no update */
  async #prepare(
    reader: Reader,
    { entity, row }: DocumentRow,
    document: StoredDocument | null,
    { update, share }: MergeInput,
  ): Promise<Prepared> {
    const { merger } = this.#options;
    const state = this.store.newState();
    try {
      const merged = await merger.merge({
        state: document?.state ?? null,
        parts: async () => (document === null ? [] : this.store.content(reader, document)),
        nextState: state,
        texts: textsOf(entity, row),
        update,
        needsSnapshot: document === null || this.store.needsSnapshot(document),
        caller: share,
      });
      return { entity, row, document, change: { ...merged, state } };
    } catch (error) {
      if (error instanceof MergeFailed && update !== null)
        throw refusedUpdate({ kind: "malformed" });
      throw error;
    }
  }

  readonly concerns = (entity: string): boolean => this.find(entity) !== null;

  readonly delete = (tx: Transaction, { id }: StoredRow, entity: string): Promise<void> =>
    this.store.delete(tx, entity, id);

  /** The subscribers of the document bring it to the new texts. */
  readonly update = async (
    tx: Transaction,
    before: StoredRow,
    after: StoredRow,
    name: string,
  ): Promise<void> => {
    const entity = this.find(name);
    if (entity === null) return;
    if (entity.documentFields.every((field) => before[field] === after[field])) return;
    const document = await this.store.find(tx, name, after.id);
    if (document !== null && !hasTexts(document, textsOf(entity, after)))
      await this.store.announce(tx, document);
  };
}

/** Null stays null as long as the text is empty. */
function textFor(row: StoredRow, field: string, { texts }: DocumentChange): string | null {
  const text = texts[field] ?? "";
  return text === "" && row[field] === null ? null : text;
}

function notFound({ name }: Entity, rowId: string): PylonError {
  return new PylonError("NOT_FOUND", `No ${name} has the id "${rowId.slice(0, 80)}".`, {
    hint: "It was deleted, or you may not read it.",
  });
}
