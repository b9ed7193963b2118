import { and } from "@pylonsync/query";
import {
  CRDT_FRAME_SNAPSHOT,
  CRDT_FRAME_UPDATE,
  createIdFactory,
  encodeCrdtFrame,
  MAX_DOCUMENT_BYTES,
} from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Entity } from "../schema/schema.ts";
import type { Reader, StoredRow, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { RowOf } from "../store/system-table.ts";
import { sha256 } from "../util/sha256.ts";
import type { DocumentBytes, DocumentTexts } from "./merge-protocol.ts";

const DOCUMENTS = SYSTEM_TABLES.documents;
const PARTS = SYSTEM_TABLES.documentParts;

/** The number of updates after which a new snapshot replaces them. */
const MAX_UPDATES = 100;
/** Updates that are smaller than this do not require a new snapshot, in bytes. */
const MIN_COMPACTED_BYTES = 16 * 1024;

/** The stored document of a row, without its content. */
export type StoredDocument = RowOf<typeof DOCUMENTS>;

/** A change of a document. */
export interface DocumentChange {
  /** Null if the document was already up to date. */
  readonly changes: Uint8Array | null;
  /** The whole document after the change; null if it was not needed. */
  readonly snapshot: Uint8Array | null;
  readonly texts: DocumentTexts;
  readonly state: string;
}

/** A part of a document. */
export interface DocumentPart {
  readonly version: number;
  readonly isSnapshot: boolean;
  readonly bytes: Uint8Array;
}

/** The texts of a row's document; a text without a value is empty. */
export function textsOf({ documentFields }: Entity, row: StoredRow): DocumentTexts {
  return Object.fromEntries(
    documentFields.map((field) => {
      const value = row[field];
      return [field, typeof value === "string" ? value : ""];
    }),
  );
}

/** Whether the document has these texts, and no others. */
export function hasTexts(document: StoredDocument, texts: DocumentTexts): boolean {
  return document.texts === hashOf(texts);
}

function hashOf(texts: DocumentTexts): string {
  return sha256(JSON.stringify(Object.entries(texts).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/** Stores documents in parts: a snapshot and updates. */
export class DocumentStore {
  readonly #now: () => number;
  readonly #newId: () => string;

  constructor({ now, random }: Pick<Platform, "now" | "random">) {
    this.#now = now;
    this.#newId = createIdFactory(now, random);
  }

  /** A name for the next state of a document. */
  newState(): string {
    return this.#newId();
  }

  /** The document of a row, or null. */
  async find(reader: Reader, entity: string, rowId: string): Promise<StoredDocument | null> {
    // Rows of other entities may have the same id.
    const found = await DOCUMENTS.select(reader, { where: DOCUMENTS.is("rowId", rowId) });
    return found.find((document) => document.entity === entity) ?? null;
  }

  /** The whole document: its snapshot, and the updates after it. */
  async content(reader: Reader, document: StoredDocument): Promise<DocumentBytes> {
    const parts = await this.parts(reader, document, document.snapshotVersion - 1);
    const isNeeded = ({ isSnapshot, version }: DocumentPart): boolean =>
      isSnapshot || version > document.snapshotVersion;
    return parts
      .filter(isNeeded)
      .toSorted((a, b) => Number(b.isSnapshot) - Number(a.isSnapshot) || a.version - b.version)
      .map(({ bytes }) => bytes);
  }

  /** The parts for a reader that has this version; `missingParts` chooses among them. */
  partsFor(
    reader: Reader,
    document: StoredDocument,
    version: number,
  ): Promise<readonly DocumentPart[]> {
    const { tailVersion, snapshotVersion } = document;
    return this.parts(reader, document, version < tailVersion ? snapshotVersion - 1 : version);
  }

  /** The parts of a document that are newer than a version, oldest first. */
  async parts(
    reader: Reader,
    { id }: StoredDocument,
    after: number,
  ): Promise<readonly DocumentPart[]> {
    const where = and(PARTS.is("documentId", id), PARTS.isAbove("version", after));
    const rows = await PARTS.select(reader, {
      where,
      order: [{ field: "version", direction: "asc" }],
    });
    return rows.map(({ version, isSnapshot, bytes }) => ({
      version,
      isSnapshot,
      bytes: Uint8Array.fromBase64(bytes),
    }));
  }

  /** Stores a new document. */
  async insert(
    tx: Transaction,
    entity: string,
    rowId: string,
    { snapshot, texts, state }: DocumentChange,
  ): Promise<StoredDocument> {
    if (snapshot === null) throw new Error("A new document has no snapshot.");
    const document: StoredDocument = {
      id: this.#newId(),
      entity,
      rowId,
      version: 1,
      snapshotVersion: 1,
      tailVersion: 1,
      snapshotBytes: snapshot.length,
      updateBytes: 0,
      state,
      texts: hashOf(texts),
    };
    await DOCUMENTS.insert(tx, document);
    await this.#putSnapshot(tx, document.id, 1, snapshot);
    return document;
  }

  /** Whether the next change should contain a snapshot, which replaces the updates before it. */
  needsSnapshot({ version, snapshotVersion, snapshotBytes, updateBytes }: StoredDocument): boolean {
    return (
      version - snapshotVersion >= MAX_UPDATES ||
      updateBytes > Math.max(snapshotBytes, MIN_COMPACTED_BYTES) ||
      snapshotBytes + updateBytes > MAX_DOCUMENT_BYTES
    );
  }

  /** Stores a change, and notifies all replicas of it. */
  async append(
    tx: Transaction,
    document: StoredDocument,
    { changes, snapshot, texts, state }: DocumentChange,
  ): Promise<StoredDocument> {
    const version = document.version + (changes === null ? 0 : 1);
    const compacted = snapshot === null ? {} : await this.#compact(tx, document, version, snapshot);
    const patch = {
      version,
      state,
      texts: hashOf(texts),
      updateBytes: document.updateBytes + (changes?.length ?? 0),
      ...compacted,
    };
    await DOCUMENTS.update(tx, document.id, patch);
    const after = { ...document, ...patch };
    if (changes === null) return after;
    await PARTS.insertNew(tx, {
      id: `${document.id}-${version}`,
      documentId: document.id,
      version,
      isSnapshot: false,
      bytes: changes.toBase64(),
    });
    await this.announce(tx, document);
    return after;
  }

  /** Locks a document until the end of the transaction, where several may run at the same time. */
  async lock(tx: Transaction, { id, version }: StoredDocument): Promise<void> {
    await DOCUMENTS.update(tx, id, { version });
  }

  /** Notifies all replicas that a document, or the row that it belongs to, has changed. */
  announce(tx: Transaction, { id }: StoredDocument): Promise<void> {
    return DOCUMENTS.announce(tx, id, "update", this.#now());
  }

  /**
   * Replaces the snapshot. The updates since the previous one are retained for subscribers that
   * have not received them.
   */
  async #compact(
    tx: Transaction,
    { id, snapshotVersion }: StoredDocument,
    version: number,
    snapshot: Uint8Array,
  ): Promise<Partial<StoredDocument>> {
    const isOld = and(PARTS.is("documentId", id), PARTS.isUpTo("version", snapshotVersion));
    await PARTS.deleteWhere(tx, isOld);
    await this.#putSnapshot(tx, id, version, snapshot);
    return {
      snapshotVersion: version,
      tailVersion: snapshotVersion,
      snapshotBytes: snapshot.length,
      updateBytes: 0,
    };
  }

  #putSnapshot(tx: Transaction, id: string, version: number, bytes: Uint8Array): Promise<void> {
    return PARTS.put(tx, {
      id: `${id}-snapshot`,
      documentId: id,
      version,
      isSnapshot: true,
      bytes: bytes.toBase64(),
    });
  }

  /** Deletes the document of a row, if it has one. */
  async delete(tx: Transaction, entity: string, rowId: string): Promise<void> {
    const document = await this.find(tx, entity, rowId);
    if (document === null) return;
    await PARTS.deleteWhere(tx, PARTS.is("documentId", document.id));
    await DOCUMENTS.delete(tx, document.id);
    await DOCUMENTS.announce(tx, document.id, "delete", this.#now());
  }
}

/** The parts that a subscriber does not have: updates, or the snapshot and the updates after it. */
export function missingParts(version: number, parts: readonly DocumentPart[]): DocumentPart[] {
  const after = (first: number): DocumentPart[] =>
    parts.filter((part) => !part.isSnapshot && part.version > first);
  const updates = after(version);
  if (version > 0 && updates[0]?.version === version + 1) return updates;
  const snapshot = parts.find((part) => part.isSnapshot && part.version > version);
  return snapshot === undefined ? [] : [snapshot, ...after(snapshot.version)];
}

/** Encodes a part for a client. @param entity the name of the entity that the client uses */
export function frameOf(
  { isSnapshot, bytes }: DocumentPart,
  entity: string,
  rowId: string,
): Uint8Array {
  const type = isSnapshot ? CRDT_FRAME_SNAPSHOT : CRDT_FRAME_UPDATE;
  return encodeCrdtFrame({ type, entity, rowId, payload: bytes });
}
