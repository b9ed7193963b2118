/** A socket as the engine uses it; the browser's WebSocket is one. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/**
 * What the engine takes from the machine: time, chance and the network. Passed in, so that a simulation can run the real engine
 * on a clock and a network of its own.
 */
export interface Platform {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly randomBytes: (bytes: Uint8Array) => void;
  /** @returns cancels it */
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly openSocket: (url: string, protocols: string[]) => Socket;
  /** Tells when the machine gets back on the network. @returns stops it */
  readonly onOnline: (run: () => void) => () => void;
}

export const systemPlatform: Platform = {
  now: Date.now,
  random: Math.random,
  randomBytes: (bytes) => {
    crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  },
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  fetch: (url, init) => fetch(url, init),
  openSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as Socket,
  onOnline: (run) => {
    if (typeof globalThis.addEventListener !== "function") return () => undefined;
    globalThis.addEventListener("online", run);
    return () => globalThis.removeEventListener("online", run);
  },
};
