import type { TabPlatform } from "../platform/browser-tabs.ts";

/**
 * Finds out which tabs are closed: each holds a lock with its name. What a closed tab has stored is
 * claimed by one of the others.
 */
export class DocumentTabs {
  readonly #tabs: TabPlatform;
  readonly #tabId: string;
  readonly #claim: (tab: string) => Promise<void>;
  /** The functions that release a lock, or stop waiting for it, by tab. */
  readonly #locks = new Map<string, () => void>();

  /** @param claim takes what a closed tab has stored; other tabs wait for it */
  constructor(tabs: TabPlatform, tabId: string, claim: (tab: string) => Promise<void>) {
    this.#tabs = tabs;
    this.#tabId = tabId;
    this.#claim = claim;
  }

  start(): void {
    this.#lock(this.#tabId, () => undefined);
  }

  stop(): void {
    for (const release of this.#locks.values()) release();
    this.#locks.clear();
  }

  /** Claims what a tab has stored, once it is closed. */
  watch(tab: string): void {
    this.#lock(tab, () => {
      const release = (): void => {
        this.#locks.get(tab)?.();
        this.#locks.delete(tab);
      };
      this.#claim(tab).then(release, release);
    });
  }

  #lock(tab: string, onHeld: () => void): void {
    if (this.#locks.has(tab)) return;
    this.#locks.set(tab, this.#tabs.lock(`pylon:documents:${tab}`, onHeld));
  }
}
