import { connectLive, openLive, type LiveClient } from "../connection/live-client.ts";
import { LazyTabs } from "../live/lazy-tabs.ts";
import type * as Extras from "../connection/extras.ts";
import type { Lazy } from "../platform/lazy.ts";
import type { LazyFunctions } from "../live/lazy-functions.ts";
import { SocketPush, type SocketPushOptions } from "../outbox/socket-push.ts";
import { QuerySubscriptions, type QuerySubscriptionsOptions } from "./query-subscriptions.ts";

/** What the pushes over the connection need. */
export type PushingOptions = Pick<SocketPushOptions, "session">;

/** The dependencies of a page's queries. */
export interface QueryModeOptions extends QuerySubscriptionsOptions, PushingOptions {
  readonly functions: LazyFunctions;
  /** The code that is not needed for the first rows. */
  readonly extras: Lazy<typeof Extras>;
}

/** The code for replicas that hold the rows of queries: a separate module. */
export class QueryMode {
  readonly queries: QuerySubscriptions;
  /** The participants of the connection. */
  readonly clients: readonly LiveClient[];
  /** Serves the other tabs of this browser. */
  readonly tabs: LazyTabs;
  /** A participant of this tab's own connections only. */
  readonly pushes: SocketPush;
  readonly open = openLive;
  readonly connect = connectLive;

  constructor(options: QueryModeOptions) {
    const { platform, store, functions, extras } = options;
    this.queries = new QuerySubscriptions(options);
    this.pushes = new SocketPush(options);
    this.clients = [this.queries, functions];
    this.tabs = new LazyTabs({ platform, store, queries: this.queries, functions }, extras);
  }
}
