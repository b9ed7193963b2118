import { decodeImportBlobMeta, VersionVector, type LoroDoc, type PeerID } from "loro-crdt";
import type { Span } from "./updates.ts";

/** The changes that somebody has: for each peer, the number of its operations. */
export class Version {
  readonly #counts: Map<PeerID, number>;

  constructor(counts: ReadonlyMap<PeerID, number> = new Map()) {
    this.#counts = new Map(counts);
  }

  /** Returns the version of a document. */
  static of(document: LoroDoc): Version {
    document.commit();
    return new Version(document.oplogVersion().toJSON());
  }

  /** Returns the version of exported bytes; null if they are not in Loro's format. */
  static ofBytes(bytes: Uint8Array): Version | null {
    try {
      return new Version(decodeImportBlobMeta(bytes, true).partialEndVersionVector.toJSON());
    } catch {
      return null;
    }
  }

  /** Returns the version with further changes. */
  with(spans: readonly Span[]): Version {
    const counts = new Map(this.#counts);
    for (const { id, len } of spans)
      counts.set(id.peer, Math.max(counts.get(id.peer) ?? 0, id.counter + len));
    return new Version(counts);
  }

  /** Adds the changes of another version. */
  add(other: Version): void {
    for (const [peer, count] of other.#counts)
      if (count > (this.#counts.get(peer) ?? 0)) this.#counts.set(peer, count);
  }

  /** Whether it contains all changes of another version. */
  includes(other: Version): boolean {
    for (const [peer, count] of other.#counts)
      if (count > (this.#counts.get(peer) ?? 0)) return false;
    return true;
  }

  /** Returns the changes that both have. */
  and(other: Version): Version {
    const counts = new Map<PeerID, number>();
    for (const [peer, count] of this.#counts)
      counts.set(peer, Math.min(count, other.#counts.get(peer) ?? 0));
    return new Version(counts);
  }

  /** Returns a copy, to which nothing is added. */
  copy(): Version {
    return new Version(this.#counts);
  }

  /** The number of operations of each peer. */
  get counts(): ReadonlyMap<PeerID, number> {
    return this.#counts;
  }

  /** Returns it in Loro's form. */
  toLoro(): VersionVector {
    return new VersionVector(this.#counts);
  }
}

/** A stored document, and which part of it the server has. */
export interface Base {
  readonly confirmed: Version;
  readonly document: Uint8Array;
}

const LENGTH_BYTES = 4;

/** Encodes a base for the storage: the length of the version, the version, the document. */
export function encodeBase({ confirmed, document }: Base): Uint8Array {
  const version = confirmed.toLoro().encode();
  const bytes = new Uint8Array(LENGTH_BYTES + version.length + document.length);
  new DataView(bytes.buffer).setUint32(0, version.length);
  bytes.set(version, LENGTH_BYTES);
  bytes.set(document, LENGTH_BYTES + version.length);
  return bytes;
}

/** @returns null for other bytes, as those of another version of this package */
export function decodeBase(bytes: Uint8Array): Base | null {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = LENGTH_BYTES + view.getUint32(0);
    const version = VersionVector.decode(bytes.slice(LENGTH_BYTES, end));
    return { confirmed: new Version(version.toJSON()), document: bytes.slice(end) };
  } catch {
    return null;
  }
}
