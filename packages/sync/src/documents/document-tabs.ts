import type { TabChannel, TabPlatform } from "../platform/browser-tabs.ts";

/** The dependencies of the tabs. */
export interface DocumentTabsOptions {
  readonly tabs: TabPlatform;
  readonly tabId: string;
  /** The name of the channel of the tabs that share what is stored. */
  readonly channel: string;
  /** Takes what a closed tab has stored; other tabs wait for it. */
  readonly claim: (tab: string) => Promise<void>;
  /** Another tab has changed what is stored. */
  readonly onStored: () => void;
}

/**
 * Tells the tabs of each other: that one has stored something, and which are closed, because each
 * holds a lock with its name. What a closed tab has stored is claimed by one of the others.
 */
export class DocumentTabs {
  readonly #options: DocumentTabsOptions;
  /** The functions that release a lock, or stop waiting for it, by tab. */
  readonly #locks = new Map<string, () => void>();
  #channel: TabChannel | null = null;

  constructor(options: DocumentTabsOptions) {
    this.#options = options;
  }

  start(): void {
    const { tabs, tabId, channel, onStored } = this.#options;
    this.#lock(tabId, () => undefined);
    this.#channel ??= tabs.channel(channel, onStored);
  }

  stop(): void {
    for (const release of this.#locks.values()) release();
    this.#locks.clear();
    this.#channel?.close();
    this.#channel = null;
  }

  /** This tab has changed what is stored. */
  stored(): void {
    this.#channel?.post(null);
  }

  /** Claims what a tab has stored, once it is closed. */
  watch(tab: string): void {
    this.#lock(tab, () => {
      const release = (): void => {
        this.#locks.get(tab)?.();
        this.#locks.delete(tab);
      };
      this.#options.claim(tab).then(release, release);
    });
  }

  #lock(tab: string, onHeld: () => void): void {
    if (this.#locks.has(tab)) return;
    this.#locks.set(tab, this.#options.tabs.lock(`pylon:documents:${tab}`, onHeld));
  }
}
