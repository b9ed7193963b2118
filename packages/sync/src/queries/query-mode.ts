import { connectLive, openLive, type LiveClient } from "../connection/live-client.ts";
import { LiveTabs } from "../live/live-tabs.ts";
import { SocketPush, type SocketPushOptions } from "../outbox/socket-push.ts";
import type { LiveFunctions } from "../live/live-functions.ts";
import { QuerySubscriptions, type QuerySubscriptionsOptions } from "./query-subscriptions.ts";

/** What the pushes over the connection need. */
export type PushingOptions = Pick<SocketPushOptions, "http" | "session">;

/** The dependencies of a page's queries. */
export interface QueryModeOptions extends QuerySubscriptionsOptions, PushingOptions {
  readonly functions: LiveFunctions;
}

/** The code for replicas that hold the rows of queries: a separate module. */
export class QueryMode {
  readonly queries: QuerySubscriptions;
  /** The participants of the connection. */
  readonly clients: readonly LiveClient[];
  /** Serves the other tabs of this browser. */
  readonly tabs: LiveTabs;
  /** A participant of this tab's own connections only. */
  readonly pushes: SocketPush;
  readonly open = openLive;
  readonly connect = connectLive;

  constructor(options: QueryModeOptions) {
    const { store, functions, platform } = options;
    this.queries = new QuerySubscriptions(options);
    this.pushes = new SocketPush({ ...options, now: platform.now });
    this.clients = [this.queries, functions.client];
    this.tabs = new LiveTabs({ store, queries: this.queries, functions });
  }
}
