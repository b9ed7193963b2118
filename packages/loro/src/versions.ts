import { VersionVector, type LoroDoc, type PeerID } from "loro-crdt";

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

  /** Returns it in Loro's form. */
  toLoro(): VersionVector {
    return new VersionVector(this.#counts);
  }
}
