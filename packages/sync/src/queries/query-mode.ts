import { connectLive, openLive, type LiveClient } from "../connection/live-client.ts";
import { LiveTabs } from "../live/live-tabs.ts";
import type { LiveFunctions } from "../live/live-functions.ts";
import { QuerySubscriptions, type QuerySubscriptionsOptions } from "./query-subscriptions.ts";

/** The dependencies of a page's queries. */
export interface QueryModeOptions extends QuerySubscriptionsOptions {
  readonly functions: LiveFunctions;
}

/** The code for replicas that hold the rows of queries: a separate module. */
export class QueryMode {
  readonly queries: QuerySubscriptions;
  /** The participants of the connection. */
  readonly clients: readonly LiveClient[];
  /** Serves the other tabs of this browser. */
  readonly tabs: LiveTabs;
  readonly open = openLive;
  readonly connect = connectLive;

  constructor(options: QueryModeOptions) {
    const { store, functions } = options;
    this.queries = new QuerySubscriptions(options);
    this.clients = [this.queries, functions.client];
    this.tabs = new LiveTabs({ store, queries: this.queries, functions });
  }
}
