import type { Version } from "./versions.ts";

/** The time in which the updates that belong to a snapshot arrive, in milliseconds. */
const ARRIVAL_MS = 1_000;

/** What the check needs of the document. */
interface Parts {
  readonly after: (ms: number, work: () => void) => () => void;
  /** Requests a new snapshot. */
  readonly ask: () => void;
}

/**
 * Notices that the server has lost changes that it had confirmed, because a backup was restored: it
 * would never send them to others, and the page would not send them again.
 *
 * A snapshot alone does not show that, because the updates after it follow, and because it may have
 * been sent before the confirmation. So if something is still missing after a while, a new one is
 * requested; when that arrives, all that followed the first one has arrived too.
 */
export class ConfirmationCheck {
  readonly #parts: Parts;
  #expected: Version | null = null;
  #received: Version | null = null;
  #cancel: () => void = () => undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * @param version that of a snapshot
   * @param confirmed what the server has confirmed so far
   * @returns whether the server has lost some of it
   */
  onSnapshot(version: Version, confirmed: Version): boolean {
    const isLost = this.#isMissing();
    this.stop();
    if (isLost || version.includes(confirmed)) return isLost;
    this.#expected = confirmed.copy();
    this.#received = version.copy();
    this.#cancel = this.#parts.after(ARRIVAL_MS, () => {
      if (this.#isMissing()) this.#parts.ask();
      else this.stop();
    });
    return false;
  }

  /** @param version that of an update */
  onUpdate(version: Version): void {
    this.#received?.add(version);
  }

  /** Forgets what was received. */
  stop(): void {
    this.#cancel();
    this.#cancel = () => undefined;
    this.#expected = null;
    this.#received = null;
  }

  #isMissing(): boolean {
    return this.#expected !== null && this.#received?.includes(this.#expected) === false;
  }
}
