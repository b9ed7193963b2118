import type { ShardDefinition } from "@pylonsync/functions";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { ShardObserver } from "./running-shard.ts";
import type { ShardCallServices } from "./shard-calls.ts";
import type { ShardReplays } from "./shard-replays.ts";
import type { ShardStorage } from "./shard-storage.ts";
import type { ShardSource, ShardThread } from "./thread-messages.ts";

/** The loaded shard definitions of an app, by name. */
export type ShardDefinitions = ReadonlyMap<string, ShardDefinition>;

/** The services that isolated shards use. */
export interface ShardThreads {
  /** Returns the location of a shard's code; undefined if it was not loaded from a folder. */
  readonly sourceOf: (name: string) => ShardSource | undefined;
  readonly start: () => ShardThread;
  /** The number of shards that are isolated by default, without `isolate` in their definition. */
  readonly spare: number;
}

/** The services that shards use. */
export interface ShardServices {
  readonly definitions: () => ShardDefinitions;
  readonly threads: ShardThreads;
  readonly storage: ShardStorage;
  readonly tokens: JoinTokens;
  readonly replays: ShardReplays;
  readonly platform: Platform;
  readonly sessionStatus: (identity: Identity) => Promise<SessionStatus>;
  /** Makes the calls that steps request. */
  readonly perform: ShardCallServices["perform"];
  readonly observer: Omit<ShardObserver, "ended" | "threadEnded" | "replay" | "call"> & {
    /** A call of a shard ended. @param error undefined: it succeeded */
    called(name: string, id: string, call: string, error: unknown): void;
    /** The thread of an isolated shard was ended. */
    threadEnded(name: string, id: string, why: "stuck" | "crashed", error: unknown): void;
    /** An operation outside of the app's code failed. */
    broke(message: string, id: string, error: unknown): void;
  };
}
