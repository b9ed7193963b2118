import type { TabPlatform } from "@pylonsync/sync";

interface Waiting {
  readonly name: string;
  readonly tab: object;
  readonly onHeld: () => void;
}

interface Listening {
  readonly name: string;
  readonly tab: object;
  readonly onMessage: (message: unknown) => void;
}

/** The locks and channels of a browser, as far as tabs of one process use them. */
export class SharedTabs {
  #waiting: readonly Waiting[] = [];
  #listening: readonly Listening[] = [];
  readonly #ended = new WeakSet<object>();
  /** Requests of a tab that have not reached the browser yet. */
  readonly #late = new Map<object, Waiting[]>();

  /** @param tab represents one tab; `end` ends it */
  platformOf(tab: object): TabPlatform {
    return {
      lock: (name, onHeld) => {
        if (this.#ended.has(tab)) return () => undefined;
        const request = { name, tab, onHeld };
        const late = this.#late.get(tab);
        if (late === undefined) this.#request(request);
        else late.push(request);
        return () => this.#giveUp((other) => other === request);
      },
      channel: (name, onMessage) => {
        const own = { name, tab, onMessage };
        if (!this.#ended.has(tab)) this.#listening = [...this.#listening, own];
        return {
          post: (message) => {
            if (this.#ended.has(tab)) return;
            // Messages are structured clones, and in order.
            const copy: unknown = structuredClone(message);
            queueMicrotask(() => {
              for (const other of this.#listening)
                if (other !== own && other.name === name) other.onMessage(copy);
            });
          },
          close: () => {
            this.#listening = this.#listening.filter((other) => other !== own);
          },
        };
      },
    };
  }

  /** Kills the tab: it sends nothing more, and holds no lock. */
  end(tab: object): void {
    this.#ended.add(tab);
    this.#listening = this.#listening.filter((other) => other.tab !== tab);
    this.#giveUp((other) => other.tab === tab);
  }

  /** All tabs except this one receive nothing more, and keep their locks. */
  suspendOthers(tab: object): void {
    this.#listening = this.#listening.filter((other) => other.tab === tab);
  }

  /** This tab receives nothing more, and keeps its locks, like one that a phone has suspended. */
  deafen(tab: object): void {
    this.#listening = this.#listening.filter((other) => other.tab !== tab);
  }

  /**
   * Delays the tab's lock requests, but not its messages.
   *
   * @returns a function that delivers them
   */
  delayLocks(tab: object): () => void {
    const late: Waiting[] = [];
    this.#late.set(tab, late);
    return () => {
      this.#late.delete(tab);
      for (const request of late) this.#request(request);
    };
  }

  #request(request: Waiting): void {
    const isFirst = !this.#waiting.some((other) => other.name === request.name);
    this.#waiting = [...this.#waiting, request];
    if (isFirst) this.#hold(request);
  }

  #giveUp(isGone: (request: Waiting) => boolean): void {
    const before = this.#waiting;
    this.#waiting = before.filter((request) => !isGone(request));
    for (const name of new Set(before.filter(isGone).map((request) => request.name))) {
      const wasFirst = before.find((request) => request.name === name);
      const first = this.#waiting.find((request) => request.name === name);
      if (first !== undefined && first !== wasFirst) this.#hold(first);
    }
  }

  #hold(request: Waiting): void {
    queueMicrotask(() => {
      if (this.#waiting.includes(request)) request.onHeld();
    });
  }
}
