import { LoroDoc, LoroText, type ContainerID, type VersionVector } from "loro-crdt";
import type { DocumentTexts, MergeRefusal, Merged, MergeRequest } from "./merge-protocol.ts";

/** The root map of a document, whose keys are the names of the fields. */
const ROOT = "row";
/** How long a difference of two texts is computed, in milliseconds, before it is approximated. */
const DIFF_MS = 100;

/** An update that must not be applied. */
export class RefusedUpdate extends Error {
  override readonly name = "RefusedUpdate";
  readonly refusal: MergeRefusal;

  constructor(refusal: MergeRefusal) {
    super(refusal.kind);
    this.refusal = refusal;
  }
}

/**
 * Opens a document as it is stored.
 *
 * @throws Error if the bytes are not a complete document
 */
export function openDocument(parts: readonly Uint8Array[]): LoroDoc {
  const document = new LoroDoc();
  for (const part of parts) {
    if (document.import(part).pending !== null)
      throw new Error("A part of the document is missing.");
  }
  return document;
}

/**
 * Brings a document to the texts of its row, and applies the update of a client. After an error the
 * document must not be used again.
 *
 * @throws RefusedUpdate
 */
export function merge(document: LoroDoc, request: MergeRequest): Merged {
  const { texts, update, needsSnapshot, maxBytes } = request;
  const before = document.version();
  bringTo(document, texts);
  const touched = update === null ? [] : applyUpdate(document, update, request);
  const merged = textsOf(document, Object.keys(texts));
  const changes = isSame(before, document.version())
    ? null
    : document.export({ mode: "update", from: before });
  return {
    changes,
    texts: merged,
    touched,
    snapshot: needsSnapshot ? snapshotOf(document, maxBytes) : null,
  };
}

/** Clients never create the texts, because two clients would create two different ones. */
function bringTo(document: LoroDoc, texts: DocumentTexts): void {
  const row = document.getMap(ROOT);
  for (const [field, text] of Object.entries(texts)) {
    const existing = row.get(field);
    if (existing instanceof LoroText) replaceText(existing, text);
    else row.setContainer(field, new LoroText()).insert(0, text);
  }
  document.commit();
}

function replaceText(target: LoroText, text: string): void {
  const current = target.toString();
  if (current === text) return;
  try {
    target.update(text, { timeoutMs: DIFF_MS });
  } catch {
    // The texts have little in common: everything between their common ends is replaced.
    const { start, removed, inserted } = differenceOf(current, text);
    if (removed > 0) target.delete(start, removed);
    if (inserted !== "") target.insert(start, inserted);
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

/** @returns the fields that the update changed */
function applyUpdate(document: LoroDoc, update: Uint8Array, request: MergeRequest): string[] {
  const fields = Object.keys(request.texts);
  const owners = new Map(fields.map((field) => [textOf(document, field).id, field]));
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
  const length = fields.reduce((sum, field) => sum + textOf(document, field).length, 0);
  if (length > request.maxLength) throw new RefusedUpdate({ kind: "too-large" });
  return [...touched];
}

function imported(document: LoroDoc, update: Uint8Array): ReturnType<LoroDoc["import"]> {
  try {
    return document.import(update);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) throw error;
    throw new RefusedUpdate({ kind: "malformed" });
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

function textOf(document: LoroDoc, field: string): LoroText {
  const row = document.getMap(ROOT);
  const text = row.get(field);
  if (text instanceof LoroText) return text;
  throw new RefusedUpdate({ kind: "foreign", key: field });
}

function textsOf(document: LoroDoc, fields: readonly string[]): DocumentTexts {
  return Object.fromEntries(fields.map((field) => [field, textOf(document, field).toString()]));
}

function isSame(one: VersionVector, other: VersionVector): boolean {
  return one.compare(other) === 0;
}

function snapshotOf(document: LoroDoc, maxBytes: number): Uint8Array {
  const snapshot = document.export({ mode: "snapshot" });
  if (snapshot.length <= maxBytes) return snapshot;
  const shallow = document.export({
    mode: "shallow-snapshot",
    frontiers: document.oplogFrontiers(),
  });
  if (shallow.length <= maxBytes) return shallow;
  throw new RefusedUpdate({ kind: "too-large" });
}
