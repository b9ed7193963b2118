import type { EngineBus } from "../connection/events.ts";
import type * as Extras from "../connection/extras.ts";
import type { HttpClient } from "../connection/http.ts";
import type { MutationQueue } from "../outbox/mutation-queue.ts";
import type { Persistence } from "../persistence/persistence.ts";
import type { Lazy } from "../platform/lazy.ts";
import type { Platform } from "../platform/platform.ts";
import type { LazyQueries } from "../queries/lazy-queries.ts";
import type { LocalStore } from "../replica/local-store.ts";
import type { ReplicaState } from "../replica/replica-state.ts";
import type { Session } from "../session/session.ts";
import type { SyncEngineConfig } from "./config.ts";

/**
 * The parts of an engine that exist from the beginning. Parts that are loaded later are built from
 * them, by the module that is loaded.
 */
export interface EngineParts {
  readonly config: SyncEngineConfig;
  readonly platform: Platform;
  readonly session: Session;
  readonly http: HttpClient;
  readonly store: LocalStore;
  readonly replica: ReplicaState;
  readonly queue: MutationQueue;
  readonly events: EngineBus;
  /** Null for a full replica. */
  readonly live: LazyQueries | null;
  /** Identifies this browser. */
  readonly clientId: string;
  /** Identifies this tab. */
  readonly tabId: string;
  /** Returns a new id for a row or a call. */
  readonly newId: () => string;
  /** Returns an id for a subscription of this page. */
  readonly nextId: () => number;
  /** The code that is not needed for the first rows. */
  readonly extras: Lazy<typeof Extras>;
  /** Null without persistence. */
  readonly persistence: () => Lazy<Persistence> | null;
}
