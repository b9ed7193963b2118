/** Resources shared by the tabs of a browser: an exclusive lock, and a broadcast channel. */
export interface TabPlatform {
  /**
   * Acquires the lock, waiting if necessary. It is released when the tab is closed.
   *
   * @returns a function that releases it, or stops waiting
   */
  lock(name: string, onHeld: () => void): () => void;
  /** Receives the messages of other tabs in order, but not its own. */
  channel(name: string, onMessage: (message: unknown) => void): TabChannel;
}

/** A tab's end of a channel. */
export interface TabChannel {
  post(message: unknown): void;
  close(): void;
}

/** The shared resources of a browser's tabs; null on other platforms. */
export function browserTabs(): TabPlatform | null {
  const { navigator, document, BroadcastChannel } = globalThis;
  if (document === undefined || BroadcastChannel === undefined || !navigator.locks) return null;
  return {
    lock(name, onHeld) {
      const abort = new AbortController();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      navigator.locks
        .request(name, { signal: abort.signal }, () => {
          onHeld();
          return held;
        })
        // It was released while waiting, or the page may not use locks: then no tab leads.
        .catch(() => undefined);
      return () => {
        abort.abort();
        release();
      };
    },
    channel(name, onMessage) {
      const channel = new BroadcastChannel(name);
      channel.addEventListener("message", ({ data }) => onMessage(data));
      return { post: (message) => channel.postMessage(message), close: () => channel.close() };
    },
  };
}
