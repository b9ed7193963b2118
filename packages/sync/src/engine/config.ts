import type { ConnectionState } from "../connection/connection.ts";
import type { TransportType } from "../connection/transport/transport.ts";
import type { Platform } from "../platform/platform.ts";
import type { Credentials, ResolvedSession } from "../session/session.ts";
import type { Storage } from "../session/storage.ts";

/**
 * The settings of an engine. `createSyncEngine` takes `baseUrl` as its first argument, and the
 * others as options.
 */
export interface SyncEngineConfig {
  /** The server's origin. Default `http://localhost:4321`. */
  readonly baseUrl: string;
  /**
   * `queries`: the replica holds the rows of queries while they are shown, and for a while
   * afterwards. `all`: it holds every row that the user may read, which suits small apps, and apps
   * that must show everything offline. Default `all`.
   */
  readonly sync?: "all" | "queries";
  /** The preferred transport. Default `websocket`, then `sse`, then `poll`. */
  readonly transport?: TransportType;
  /** The WebSocket URL; default `/ws` on the same host and port. */
  readonly wsUrl?: string;
  /** The polling interval in milliseconds; default 1000. */
  readonly pollInterval?: number;
  /** The range of the first reconnection delay, in milliseconds; default 1000. */
  readonly reconnectDelay?: number;
  /** Overrides a stored token. */
  readonly token?: string;
  /**
   * `cookie`: the session is the cookie that a sign-in sets, and no token is stored where a script
   * could read it. For pages of the server's own origin, or of a trusted origin on the same site.
   * Default `token`.
   */
  readonly credentials?: Credentials;
  /**
   * The session, if a server has rendered the page and knows it. The engine checks it again when it
   * connects.
   */
  readonly session?: ResolvedSession;
  /** Separates the tokens of several apps on one origin. Default `default`. */
  readonly appName?: string;
  /**
   * Whether rows and unsent writes survive the page: they are stored in IndexedDB, per user, until
   * a sign-out. Default true, if IndexedDB is available.
   */
  readonly persist?: boolean;
  /** The storage for the token and the client's id. Default `localStorage`, otherwise memory. */
  readonly storage?: Storage;
  /** Overrides for parts of the platform: clock, randomness, network, disk. */
  readonly platform?: Partial<Platform>;
}

/** The state of an engine. The object is stable until something changes. */
export interface SyncStatus {
  readonly connection: ConnectionState;
  /** Whether the replica holds a state of the server; before that, an empty list has no meaning. */
  readonly ready: boolean;
  /** Whether the replica is from an earlier visit, because the server has not responded yet. */
  readonly stale: boolean;
  /**
   * The number of writes without a response of the server, and of rows with edits of collaborative
   * texts that the server does not have, also of other tabs.
   */
  readonly pending: number;
  /**
   * The transport in use, or about to be used: it differs from the configured one if that does not
   * work.
   */
  readonly transport: TransportType;
  /**
   * Whether a newer version of the app was deployed, and the server no longer has code that this
   * page needs to load. Loaded code keeps working; offer to reload the page.
   */
  readonly outdated: boolean;
}

/** The status of an engine that is not started, as during server rendering. */
export const NOT_STARTED: SyncStatus = Object.freeze({
  connection: "connecting",
  ready: false,
  stale: false,
  pending: 0,
  transport: "websocket",
  outdated: false,
});
