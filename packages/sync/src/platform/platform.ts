import { browserTabs, type TabPlatform } from "../connection/tabs.ts";
import type { Disk } from "../persistence/disk.ts";
import { openIndexedDb } from "../persistence/indexed-db.ts";

/** A socket as the engine uses it; the browser's WebSocket is one. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  /** As what bytes come in; the browser's default is a Blob. */
  binaryType?: string;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/**
 * What the engine takes from the machine: time, chance and the network. Passed in, so that a
 * simulation can run the real engine on a clock and a network of its own.
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
  /** Tells when the app is looked at again, after which much may have changed. @returns stops it */
  readonly onShown: (run: () => void) => () => void;
  /**
   * Tells when the machine says that it is off the network, which need not be true.
   *
   * @returns stops it
   */
  readonly onOffline: (run: () => void) => () => void;
  /**
   * Opens what this machine keeps of an app on a server between two visits; null where it keeps
   * nothing.
   */
  readonly openDisk: ((appName: string, server: string) => Promise<Disk>) | null;
  /** What the tabs of one browser share; null where each is for itself. */
  readonly tabs: TabPlatform | null;
}

/** The machine that this runs on: a browser, Node, Bun or React Native. */
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
  onOnline: (run) => listen(globalThis, "online", run),
  onShown: (run) => {
    const stops = [
      listen(globalThis, "focus", run),
      listen(globalThis.document, "visibilitychange", () => {
        if (document.visibilityState === "visible") run();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  },
  onOffline: (run) => listen(globalThis, "offline", run),
  get openDisk() {
    return typeof indexedDB === "undefined" ? null : openIndexedDb;
  },
  get tabs() {
    return browserTabs();
  },
};

/** @param target undefined, or without events, outside of browsers */
function listen(
  target: Partial<EventTarget> | undefined,
  event: string,
  run: () => void,
): () => void {
  if (typeof target?.addEventListener !== "function") return () => undefined;
  target.addEventListener(event, run);
  return () => target.removeEventListener?.(event, run);
}
