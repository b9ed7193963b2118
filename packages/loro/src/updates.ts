import type { LoroDoc, PeerID } from "loro-crdt";
import { Version } from "./versions.ts";

/** Changes of a document, and the version that contains them. */
export interface Update {
  readonly bytes: Uint8Array;
  readonly version: Version;
}

/** Operations of one peer that follow each other. */
export interface Span {
  readonly id: { readonly peer: PeerID; readonly counter: number };
  readonly len: number;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly spans: readonly Span[];
}

/**
 * Exports the changes after a version: as one update, or as several that follow each other if it
 * would be too large.
 *
 * @param maxBytes the maximum size of an update, unless a single operation is larger
 */
export function* updatesAfter(
  document: LoroDoc,
  from: Version,
  maxBytes: number,
): Generator<Update, void> {
  const version = Version.of(document);
  if (from.includes(version)) return;
  const bytes = document.export({ mode: "update", from: from.toLoro() });
  if (bytes.length <= maxBytes) {
    yield { bytes, version };
    return;
  }
  let known = from;
  for (const piece of exported(document, spansAfter(document, from.counts), maxBytes)) {
    known = known.with(piece.spans);
    yield { bytes: piece.bytes, version: known };
  }
}

/**
 * The operations that are not in a version. What an operation depends on has a smaller Lamport
 * number than the change that contains the operation, so it comes before it in this order.
 */
function spansAfter(document: LoroDoc, from: ReadonlyMap<PeerID, number>): readonly Span[] {
  const spans: (Span & { readonly lamport: number })[] = [];
  for (const [peer, changes] of document.getAllChanges()) {
    const known = from.get(peer) ?? 0;
    for (const { lamport, counter, length } of changes) {
      const skipped = Math.max(0, known - counter);
      const len = length - skipped;
      const id = { peer, counter: counter + skipped };
      if (len > 0) spans.push({ id, len, lamport: lamport + skipped });
    }
  }
  return spans.toSorted((one, other) => one.lamport - other.lamport);
}

/** Exports spans as one piece, or as several if it is too large. */
function* exported(
  document: LoroDoc,
  spans: readonly Span[],
  maxBytes: number,
): Generator<Piece, void> {
  if (spans.length === 0) return;
  const bytes = document.export({ mode: "updates-in-range", spans: [...spans] });
  const size = spans.reduce((sum, { len }) => sum + len, 0);
  if (bytes.length <= maxBytes || size <= 1) {
    yield { bytes, spans };
    return;
  }
  const [first, second] = halves(spans, size);
  yield* exported(document, first, maxBytes);
  yield* exported(document, second, maxBytes);
}

function halves(spans: readonly Span[], size: number): [Span[], Span[]] {
  const first: Span[] = [];
  const second: Span[] = [];
  let rest = Math.floor(size / 2);
  for (const { id, len } of spans) {
    const taken = Math.min(len, rest);
    rest -= taken;
    if (taken > 0) first.push({ id, len: taken });
    const next = { peer: id.peer, counter: id.counter + taken };
    if (taken < len) second.push({ id: next, len: len - taken });
  }
  return [first, second];
}
