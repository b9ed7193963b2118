import { isRowId, PylonError } from "@pylonsync/protocol";
import type { CascadeDelete, Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import { RuleEnv } from "../data/rules.ts";
import type { Writer } from "../data/writer.ts";
import type { Caller } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { Entity } from "../schema/schema.ts";
import type { Reader, Store, StoredRow, Transaction } from "../store/store.ts";
import { refusedUpdate } from "./document-errors.ts";
import {
  DocumentStore,
  hasTexts,
  textsOf,
  type DocumentChange,
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
  readonly merger: Pick<Merger, "merge">;
}

/** A client's update of the document of a row. */
export interface DocumentUpdate {
  readonly entity: string;
  readonly rowId: string;
  readonly update: Uint8Array;
}

/** A merge that was prepared before the transaction in which it is stored. */
interface Prepared {
  /** The state of the document to which it applies. */
  readonly state: string;
  readonly change: DocumentChange & Pick<Merged, "touched">;
}

/** The inputs of a merge besides the document. */
interface MergeInput {
  readonly entity: Entity;
  /** Whose texts the document has afterwards, if there is no update. */
  readonly row: StoredRow;
  readonly update: Uint8Array | null;
  /** See `Merge.caller`. */
  readonly share: string | null;
}

/** The code of a transaction, which may write rows for callers that may not. */
const SERVER = { policies: "bypassed" } as const;

/**
 * The documents of rows: texts that several users edit at the same time. The columns of a row
 * always contain the merged texts. A row has no document until it is needed.
 */
export class Documents implements CascadeDelete {
  readonly store: DocumentStore;
  readonly #options: DocumentsOptions;

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
  async mayRead(reader: Reader, entity: Entity, row: StoredRow, caller: Caller): Promise<boolean> {
    const { rules } = this.#options.model();
    const { fields } = rules.seenBy(entity, caller).publicShape;
    if (!entity.documentFields.every((field) => fields.has(field))) return false;
    const env = new RuleEnv(caller, this.#options.platform.now(), row);
    return rules.allows(reader, entity.name, "read", env);
  }

  /**
   * The document of a row, which is created or brought to the row's texts if necessary.
   *
   * @returns null if the row does not exist
   */
  async ensure(entity: Entity, caller: Caller, rowId: string): Promise<StoredDocument | null> {
    const { store, committer } = this.#options;
    const row = await store.get(entity.name, rowId);
    const existing = row && (await this.store.find(store, entity.name, rowId));
    if (existing && hasTexts(existing, textsOf(entity, row))) return existing;
    const { result } = await committer.commit(
      { caller, ...SERVER },
      async ({ transaction: tx }) => {
        const current = await tx.get(entity.name, rowId);
        return current === null ? null : this.#bring(tx, entity, current);
      },
    );
    return result;
  }

  /**
   * Applies an update of a client, with the caller's permissions. An update that was already
   * applied changes nothing.
   *
   * @throws PylonError NOT_FOUND, NOT_SUPPORTED, CRDT_DECODE_FAILED, CRDT_APPLY_FAILED, and those
   *   of a write of the texts
   */
  async push(caller: Caller, share: string, update: DocumentUpdate): Promise<void> {
    const entity = this.entity(update.entity);
    await this.#checkAccess(entity, caller, update.rowId);
    const document = await this.ensure(entity, caller, update.rowId);
    if (document === null) throw notFound(update);
    // Merged before the transaction, for which other writes wait; a harmful update fails here.
    const prepared = await this.#prepare(entity, document, update, share);
    await this.#options.committer.commit({ caller }, (writer) =>
      this.#apply(writer, entity, update, prepared),
    );
  }

  /** @throws PylonError NOT_FOUND, POLICY_DENIED */
  async #checkAccess(entity: Entity, caller: Caller, rowId: string): Promise<void> {
    const { store, model, platform } = this.#options;
    const row = isRowId(rowId) ? await store.get(entity.name, rowId) : null;
    if (row === null || !(await this.mayRead(store, entity, row, caller)))
      throw notFound({ entity: entity.name, rowId });
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

  async #prepare(
    entity: Entity,
    document: StoredDocument,
    { update, rowId }: DocumentUpdate,
    share: string,
  ): Promise<Prepared | null> {
    const { store } = this.#options;
    const row = await store.get(entity.name, rowId);
    if (row === null) return null;
    const change = await this.#merge(store, document, { entity, row, update, share });
    return { state: document.state, change };
  }

  async #apply(
    writer: Writer,
    entity: Entity,
    { rowId, update }: DocumentUpdate,
    prepared: Prepared | null,
  ): Promise<void> {
    const { transaction: tx } = writer;
    const row = await tx.get(entity.name, rowId);
    if (row === null) throw notFound({ entity: entity.name, rowId });
    const document = await this.#bring(tx, entity, row);
    const change =
      prepared?.state === document.state
        ? prepared.change
        : await this.#merge(tx, document, { entity, row, update, share: null });
    if (change.changes === null) return;
    await this.store.append(tx, document, change);
    // A text that was only formatted is written too, because its policies apply.
    const texts = change.touched.map((field) => [field, textFor(row, field, change)]);
    if (!(await writer.update(entity.name, rowId, Object.fromEntries(texts))))
      throw notFound({ entity: entity.name, rowId });
  }

  /** The document of a row with the row's texts. */
  async #bring(tx: Transaction, entity: Entity, row: StoredRow): Promise<StoredDocument> {
    const document = await this.store.find(tx, entity.name, row.id);
    if (document === null) return this.#create(tx, entity, row);
    if (hasTexts(document, textsOf(entity, row))) return document;
    // A migration has changed the texts, or the fields.
    return this.#follow(tx, document, entity, row);
  }

  async #create(tx: Transaction, entity: Entity, row: StoredRow): Promise<StoredDocument> {
    const state = this.store.newState();
    const merged = await this.#options.merger.merge({
      state: null,
      parts: () => Promise.resolve([]),
      nextState: state,
      texts: textsOf(entity, row),
      update: null,
      needsSnapshot: true,
      caller: null,
    });
    return this.store.insert(tx, entity.name, row.id, { ...merged, state });
  }

  /** Brings a document to the texts of its row. */
  async #follow(
    tx: Transaction,
    document: StoredDocument,
    entity: Entity,
    row: StoredRow,
  ): Promise<StoredDocument> {
    try {
      const change = await this.#merge(tx, document, { entity, row, update: null, share: null });
      await this.store.append(tx, document, change);
    } catch (error) {
      if (!(error instanceof MergeFailed)) throw error;
      // The library can't process the document: the row must be writable nevertheless.
      await this.store.delete(tx, entity.name, row.id);
      return this.#create(tx, entity, row);
    }
    const after = await this.store.get(tx, document.id);
    if (after === null) throw new Error("A document was not stored.");
    return after;
  }

  /** @throws PylonError; MergeFailed if there is no update */
  async #merge(
    reader: Reader,
    document: StoredDocument,
    { entity, row, update, share }: MergeInput,
  ): Promise<Prepared["change"]> {
    const state = this.store.newState();
    try {
      const merged = await this.#options.merger.merge({
        state: document.state,
        parts: () => this.store.content(reader, document),
        nextState: state,
        texts: textsOf(entity, row),
        update,
        needsSnapshot: this.store.needsSnapshot(document),
        caller: share,
      });
      return { ...merged, state };
    } catch (error) {
      if (error instanceof MergeFailed && update !== null)
        throw refusedUpdate({ kind: "malformed" });
      throw error;
    }
  }

  readonly concerns = (entity: string): boolean =>
    (this.#options.model().schema.find(entity)?.documentFields.length ?? 0) > 0;

  readonly delete = (tx: Transaction, { id }: StoredRow, entity: string): Promise<void> =>
    this.store.delete(tx, entity, id);

  /** A write of the texts is merged into the document. */
  readonly update = async (
    tx: Transaction,
    before: StoredRow,
    after: StoredRow,
    name: string,
  ): Promise<void> => {
    const entity = this.#options.model().entity(name);
    if (entity.documentFields.every((field) => before[field] === after[field])) return;
    const document = await this.store.find(tx, name, after.id);
    if (document === null || hasTexts(document, textsOf(entity, after))) return;
    await this.#follow(tx, document, entity, after);
  };
}

/** Null stays null as long as the text is empty. */
function textFor(row: StoredRow, field: string, { texts }: DocumentChange): string | null {
  const text = texts[field] ?? "";
  return text === "" && row[field] === null ? null : text;
}

function notFound({ entity, rowId }: Pick<DocumentUpdate, "entity" | "rowId">): PylonError {
  return new PylonError("NOT_FOUND", `No ${entity} has the id "${rowId.slice(0, 80)}".`, {
    hint: "It was deleted, or you may not read it.",
  });
}
