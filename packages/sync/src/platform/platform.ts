import type { Disk } from "../persistence/disk.ts";
import type { TabPlatform } from "./browser-tabs.ts";

/** A socket as used by the engine; the browser's WebSocket is one. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  /** The type of binary messages; the browser's default is Blob. */
  binaryType?: string;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** A class of sockets like the browser's `WebSocket`. */
export type WebSocketClass = new (
  url: string,
  protocols: string[],
) => Pick<Socket, "send" | "close">;

/** Opens a socket of a class. Its events have more properties than `Socket` declares. */
export const openSocketOf = (Class: WebSocketClass, url: string, protocols: string[]): Socket =>
  new Class(url, protocols) as unknown as Socket;

/**
 * The engine's access to the platform: time, randomness and the network. It is injected, so that a
 * simulation can run the real engine with its own clock and network.
 */
export interface Platform {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Returns a number from 0 up to, but not including, 1. */
  readonly random: () => number;
  readonly randomBytes: (bytes: Uint8Array) => void;
  /** @returns a function that cancels it */
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly openSocket: (url: string, protocols: string[]) => Socket;
  /** Calls `run` when the device is online again. @returns an unsubscribe function */
  readonly onOnline: (run: () => void) => () => void;
  /**
   * Calls `run` when the app becomes visible, after which much may have changed. @returns an
   * unsubscribe function
   */
  readonly onShown: (run: () => void) => () => void;
  /**
   * Calls `run` when the device reports that it is offline, which may be wrong.
   *
   * @returns an unsubscribe function
   */
  readonly onOffline: (run: () => void) => () => void;
  /** Opens the storage of an app on a server between visits; null if nothing is stored. */
  readonly openDisk: ((appName: string, server: string) => Promise<Disk>) | null;
  /** Shows a warning to the developer. */
  readonly warn: (text: string) => void;
  /** Resources shared by the tabs of a browser; null if there are none. Default: the browser's. */
  readonly tabs?: TabPlatform | null | undefined;
}

/** The platform that this runs on: a browser, Node, Bun or React Native. */
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
  openSocket: (url, protocols) => openSocketOf(WebSocket, url, protocols),
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
  // oxlint-disable-next-line eslint/no-console -- It is for the developer's console.
  warn: (text) => console.warn(text),
  get openDisk() {
    if (typeof indexedDB === "undefined") return null;
    return async (appName: string, server: string) => {
      const { openIndexedDb } = await import("../persistence/kept.ts");
      return openIndexedDb(appName, server);
    };
  },
};

/** @param target undefined, or without events, outside browsers */
function listen(
  target: Partial<EventTarget> | undefined,
  event: string,
  run: () => void,
): () => void {
  if (typeof target?.addEventListener !== "function") return () => undefined;
  target.addEventListener(event, run);
  return () => target.removeEventListener?.(event, run);
}
