import type * as Library from "loro-crdt/base64";
import type {
  ContainerID,
  LoroDoc,
  LoroMap,
  LoroText,
  PeerID,
  VersionVector,
} from "loro-crdt/base64";
import { insertText } from "@pylonsync/protocol";
import type { DocumentTexts, MergeRefusal, Merged, MergeRequest } from "./merge-protocol.ts";

/** The root map of a document, whose keys are the names of the fields. */
const ROOT = "row";
/** The length of the history that is kept, in characters that were inserted or deleted. */
const KEPT_OPERATIONS = 100_000;
/** How long a difference of two texts is computed, in milliseconds, before it is approximated. */
const DIFF_MS = 100;

/** The length from which an insertion is made in pieces, in characters. */
const LONG_INSERTION = 10_000;

/** An update that must not be applied. */
export class RefusedUpdate extends Error {
  override readonly name = "RefusedUpdate";
  readonly refusal: MergeRefusal;

  constructor(refusal: MergeRefusal) {
    super(refusal.kind);
    this.refusal = refusal;
  }
}

/** The library, which only the process that merges documents loads. */
export type Loro = Pick<typeof Library, "LoroDoc" | "LoroText" | "VersionVector">;

/**
 * A document in memory, twice: changes are applied to the draft, and exported to the other one,
 * which processes only what its readers receive.
 */
export interface OpenText {
  readonly draft: LoroDoc;
  readonly stored: LoroDoc;
}

/** Releases the memory of a document. */
export function close({ draft, stored }: OpenText): void {
  draft.free();
  stored.free();
}

/** Merges documents with the library. */
export class TextMerge {
  readonly #loro: Loro;

  constructor(loro: Loro) {
    this.#loro = loro;
  }

  /** Opens a document as it is stored. @throws Error if the bytes are not a complete document */
  open(parts: readonly Uint8Array[]): OpenText {
    return { draft: this.read(parts), stored: this.read(parts) };
  }

  /** Reads a document as a client does. @throws Error if the bytes are not a complete document */
  read(parts: readonly Uint8Array[]): LoroDoc {
    const document = new this.#loro.LoroDoc();
    for (const part of parts) {
      if (document.import(part).pending !== null)
        throw new Error("A part of the document is missing.");
    }
    return document;
  }

  /**
   * Brings a document to the texts of its row, and applies the update of a client. After an error
   * the document must not be used again.
   *
   * @throws RefusedUpdate
   */
  merge({ draft, stored }: OpenText, request: MergeRequest): Merged {
    const { update, needsSnapshot, maxBytes } = request;
    const before = draft.version();
    this.#bringTo(draft, request.texts);
    const touched = update === null ? [] : this.#apply(draft, update, request);
    const texts = this.#textsOf(draft, request);
    const changes = isSame(before, draft.version())
      ? null
      : draft.export({ mode: "update", from: before });
    if (changes !== null) this.#check(texts, () => readChanges(stored, changes), request);
    const snapshot = needsSnapshot ? this.#snapshotOf(stored, maxBytes) : null;
    if (snapshot !== null) this.#check(texts, () => this.read([snapshot]), request);
    return { changes, texts, touched, snapshot };
  }

  /**
   * Checks that the readers can process what is sent to them. The library accepts updates that were
   * made to harm, and exports them in a form that it does not accept.
   *
   * @param read processes it as a client does
   */
  #check(texts: DocumentTexts, read: () => LoroDoc, request: MergeRequest): void {
    let shown: DocumentTexts;
    try {
      const document = read();
      shown = this.#textsOf(document, request);
      for (const field of Object.keys(texts)) this.#textOf(document, field).toDelta();
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      throw new RefusedUpdate({ kind: "malformed" });
    }
    for (const [field, text] of Object.entries(texts))
      if (shown[field] !== text) throw new RefusedUpdate({ kind: "malformed" });
  }

  #textsOf(document: LoroDoc, { texts }: MergeRequest): DocumentTexts {
    return Object.fromEntries(
      Object.keys(texts).map((field) => [field, this.#textOf(document, field).toString()]),
    );
  }

  /** Clients never create the texts, because two clients would create two different ones. */
  #bringTo(document: LoroDoc, texts: DocumentTexts): void {
    const row = document.getMap(ROOT);
    const author = authorOf(row);
    if (author !== undefined) document.setPeerId(author);
    for (const [field, text] of Object.entries(texts)) {
      const existing = row.get(field);
      if (existing instanceof this.#loro.LoroText) replaceText(existing, text);
      else insertText(row.setContainer(field, new this.#loro.LoroText()), 0, text);
    }
    document.commit();
  }

  /** @returns the fields that the update changed */
  #apply(document: LoroDoc, update: Uint8Array, request: MergeRequest): string[] {
    const fields = Object.keys(request.texts);
    const owners = new Map(fields.map((field) => [this.#textOf(document, field).id, field]));
    const before = document.getMap(ROOT).getShallowValue();
    const { success, pending } = imported(document, update);
    if (pending !== null) throw new RefusedUpdate({ kind: "incomplete" });
    const touched = new Set<string>();
    for (const [peer, { start, end }] of success) {
      if (end <= start) continue;
      const changed = document.getChangedContainersIn({ peer, counter: start }, end - start);
      for (const container of changed) {
        const field = owners.get(container);
        if (field === undefined) throw foreign(document, container, before);
        touched.add(field);
      }
    }
    const length = fields.reduce((sum, field) => sum + this.#textOf(document, field).length, 0);
    if (length > request.maxLength) throw new RefusedUpdate({ kind: "too-large" });
    return [...touched];
  }

  /**
   * The time for a merge grows with the history, so the oldest part of a long one is dropped: an
   * update that is based on it is rejected afterwards.
   */
  #snapshotOf(document: LoroDoc, maxBytes: number): Uint8Array {
    const whole = document.export({ mode: "snapshot" });
    if (whole.length <= maxBytes / 2) return whole;
    const recent = document.opCount() > 2 * KEPT_OPERATIONS ? this.#recent(document) : whole;
    if (recent.length <= maxBytes) return recent;
    const none = document.export({
      mode: "shallow-snapshot",
      frontiers: document.oplogFrontiers(),
    });
    if (none.length <= maxBytes) return none;
    throw new RefusedUpdate({ kind: "too-large" });
  }

  /** The document with the most recent part of its history. */
  #recent(document: LoroDoc): Uint8Array {
    const changes = document.getAllChanges();
    const ends = [...changes.values()].flat().map(({ lamport, length }) => lamport + length);
    const first = ends.reduce((max, end) => Math.max(max, end), 0) - KEPT_OPERATIONS;
    const start = document.shallowSinceVV().toJSON();
    for (const [peer, own] of changes) {
      for (const { lamport, counter, length } of own) {
        const end = counter + Math.min(length, first - lamport);
        if (end > counter) start.set(peer, Math.max(end, start.get(peer) ?? 0));
      }
    }
    const frontiers = document.vvToFrontiers(new this.#loro.VersionVector(start));
    return document.export({ mode: "shallow-snapshot", frontiers });
  }

  #textOf(document: LoroDoc, field: string): LoroText {
    const text = document.getMap(ROOT).get(field);
    if (text instanceof this.#loro.LoroText) return text;
    throw new RefusedUpdate({ kind: "foreign", key: field });
  }
}

/**
 * The peer that has created the texts. All edits of the server are its own: the library needs time
 * that grows with the square of the text for the first edit of a peer, and little for later ones.
 * There are no two edits with the same number, because each depends on the stored document, which
 * is checked when it is stored.
 */
function authorOf(row: LoroMap): PeerID | undefined {
  const containers = Object.values(row.getShallowValue()).map(String);
  const [, peer] = /^cid:\d+@(\d+):Text$/.exec(containers.toSorted()[0] ?? "") ?? [];
  return isPeer(peer) ? peer : undefined;
}

function isPeer(peer: string | undefined): peer is PeerID {
  return peer !== undefined && /^\d+$/.test(peer);
}

function replaceText(target: LoroText, text: string): void {
  const current = target.toString();
  if (current === text) return;
  const difference = differenceOf(current, text);
  if (!isLongInsertion(difference) && updated(target, text)) return;
  const { start, removed, inserted } = difference;
  if (removed > 0) target.delete(start, removed);
  if (inserted !== "") insertText(target, start, inserted);
}

/** Whether a text is longer than the library should insert at once, and replaces nothing. */
function isLongInsertion({ removed, inserted }: Difference): boolean {
  return inserted.length > LONG_INSERTION && removed < inserted.length / 10;
}

/** @returns false if the texts have little in common */
function updated(target: LoroText, text: string): boolean {
  try {
    target.update(text, { timeoutMs: DIFF_MS });
    return true;
  } catch {
    return false;
  }
}

interface Difference {
  readonly start: number;
  readonly removed: number;
  readonly inserted: string;
}

function differenceOf(one: string, other: string): Difference {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  if (isWithinPair(one, start) || isWithinPair(other, start)) start -= 1;
  let end = 0;
  while (end < shorter - start && one[one.length - 1 - end] === other[other.length - 1 - end])
    end += 1;
  if (isWithinPair(one, one.length - end) || isWithinPair(other, other.length - end)) end -= 1;
  return {
    start,
    removed: one.length - end - start,
    inserted: other.slice(start, other.length - end),
  };
}

/** Whether a character of two units is cut by this position. */
function isWithinPair(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return at > 0 && unit >= 0xdc00 && unit <= 0xdfff;
}

function imported(document: LoroDoc, update: Uint8Array): ReturnType<LoroDoc["import"]> {
  try {
    return document.import(update);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    const isTooOld = String(error).includes("shallow history");
    throw new RefusedUpdate({ kind: isTooOld ? "incomplete" : "malformed" });
  }
}

/** Names what the update would have changed. @param before the values of the row's map before it */
function foreign(
  document: LoroDoc,
  container: ContainerID,
  before: Readonly<Record<string, unknown>>,
): RefusedUpdate {
  const row = document.getMap(ROOT);
  if (container === row.id) {
    const after = row.getShallowValue();
    const keys = Object.keys({ ...before, ...after });
    const key = keys.find((name) => before[name] !== after[name]);
    return new RefusedUpdate({ kind: "foreign", key: key ?? ROOT });
  }
  const [root = "", key] = document.getPathToContainer(container) ?? [];
  return new RefusedUpdate({ kind: "foreign", key: String(key ?? root) });
}

/** @throws Error if the changes are incomplete */
function readChanges(document: LoroDoc, changes: Uint8Array): LoroDoc {
  if (document.import(changes).pending !== null) throw new Error("A change is missing.");
  return document;
}

function isSame(one: VersionVector, other: VersionVector): boolean {
  return one.compare(other) === 0;
}
