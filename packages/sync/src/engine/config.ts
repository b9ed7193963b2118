import type { ConnectionState } from "../connection/connection.ts";
import type { TransportType } from "../connection/transport/transport.ts";
import type { Platform } from "../platform/platform.ts";
import type { Credentials, ResolvedSession } from "../session/session.ts";
import type { Storage } from "../session/storage.ts";

/**
 * What an engine is made with; only `baseUrl` has no place in `createSyncEngine`'s options, where
 * it stands before them.
 */
export interface SyncEngineConfig {
  /** The server's origin. Default `http://localhost:4321`. */
  readonly baseUrl: string;
  /**
   * `queries`: the replica holds the rows that queries ask for while they are shown, and a while
   * longer. `all`: it holds every row that the user may read, which suits small apps, and those
   * that have to show everything without a network. Default `all`.
   */
  readonly sync?: "all" | "queries";
  /** What is tried first. Default `websocket`, then `sse`, then `poll`. */
  readonly transport?: TransportType;
  /** The socket's address; default `/ws` of the same host and port. */
  readonly wsUrl?: string;
  /** Milliseconds between two polls; default 1000. */
  readonly pollInterval?: number;
  /** The span of the first wait before reconnecting, in milliseconds; default 1000. */
  readonly reconnectDelay?: number;
  /** Takes the place of a stored token. */
  readonly token?: string;
  /**
   * `cookie`: the session is the cookie that a sign-in sets, and no token is kept where a script
   * could read it. For pages of the server's own origin, or of one that it trusts on the same site.
   * Default `token`.
   */
  readonly credentials?: Credentials;
  /**
   * Who is signed in, where a server has rendered the page and knows. The engine asks again when it
   * connects.
   */
  readonly session?: ResolvedSession;
  /** Keeps the tokens of several apps on one origin apart. Default `default`. */
  readonly appName?: string;
  /**
   * Whether rows and unsent writes outlive the page: in IndexedDB, for the user whose they are,
   * until a sign-out. Default true, where there is an IndexedDB.
   */
  readonly persist?: boolean;
  /** Where the token and the client's id are kept. Default `localStorage`, else memory. */
  readonly storage?: Storage;
  /** Parts of the machine to put others in place of: the clock, chance, the network, the disk. */
  readonly platform?: Partial<Platform>;
}

/** How the engine is doing. The same object comes back until something changes. */
export interface SyncStatus {
  readonly connection: ConnectionState;
  /**
   * Whether the replica holds what the server had at some time; before that, an empty list means
   * nothing.
   */
  readonly ready: boolean;
  /**
   * Whether the replica is of an earlier visit, because the server has not been heard yet in this
   * one.
   */
  readonly stale: boolean;
  /** Writes that the server has not answered. */
  readonly pending: number;
  /**
   * How changes come, or are about to: another way than asked for where that does not get through.
   */
  readonly transport: TransportType;
}

/** The status of an engine that is not started, which is what a server renders. */
export const NOT_STARTED: SyncStatus = Object.freeze({
  connection: "connecting",
  ready: false,
  stale: false,
  pending: 0,
  transport: "websocket",
});
