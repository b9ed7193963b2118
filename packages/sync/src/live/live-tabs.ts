import type {
  LiveMessage,
  Row,
  Subscribe,
  SubscribeFunction,
  SubscriptionChange,
} from "@pylonsync/protocol";
import type { LiveClient } from "../connection/live-client.ts";
import { parseJson } from "../connection/transport/message.ts";
import { treeOf } from "../queries/included-parts.ts";
import type { QuerySubscription, RowEffects } from "../queries/query-subscription.ts";
import type { AppliedEffects, QuerySubscriptions } from "../queries/query-subscriptions.ts";
import type { LocalStore } from "../replica/local-store.ts";
import { liveFunction } from "./live-function.ts";
import type { LazyFunctions } from "./lazy-functions.ts";
import { isPing, isTabRequest } from "./tab-request.ts";

/** A subscription of another tab: a query or a function of this one, with the tab's own id. */
interface Followed {
  /** Null for a function. */
  readonly query: QuerySubscription | null;
  readonly release: () => void;
  /** The numbers under which the tab knows its rows, and the included rows. */
  readonly numbers: Map<QuerySubscription, number>;
  /** The tab has received all rows, and receives changes. */
  isReady: boolean;
}

interface Tab {
  readonly tell: (message: LiveMessage) => void;
  readonly followed: Map<number, Followed>;
  /** The number of included parts that were numbered. */
  included: number;
}

/** The first number for included rows: a tab's own ids are small. */
const FIRST_INCLUDED = 1_000_000_000;

/** The data of the leading tab that it shares with others. */
export interface LiveTabsOptions {
  readonly store: LocalStore;
  readonly queries: QuerySubscriptions;
  readonly functions: LazyFunctions;
}

/**
 * Serves the other tabs of a browser like a server of version 2: this tab subscribes to what they
 * request, and forwards what it receives. `LazyTabs` loads it.
 */
export class LiveTabs implements LiveClient {
  readonly #options: LiveTabsOptions;
  readonly #tabs = new Map<string, Tab>();
  #send: ((text: string) => void) | null = null;

  constructor(options: LiveTabsOptions) {
    this.#options = options;
    options.queries.applied.on((applied) => this.#pass(applied));
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
  }

  closed(): void {
    this.#send = null;
    this.reset();
  }

  reset(): void {
    for (const tab of [...this.#tabs.keys()]) this.left(tab);
  }

  take(message: LiveMessage): void {
    if (message.type === "pong") for (const { tell } of this.#tabs.values()) tell(message);
  }

  /** Handles a request of a tab. @param tell sends a message to it */
  receive(name: string, text: string, tell: (text: string) => void): void {
    let tab = this.#tabs.get(name);
    if (tab === undefined) {
      tab = { tell: (message) => tell(JSON.stringify(message)), followed: new Map(), included: 0 };
      this.#tabs.set(name, tab);
    }
    const request = parseJson(text);
    // Pings, rooms and topics are forwarded unchanged.
    if (!isTabRequest(request)) this.#send?.(isPing(request) ? '{"type":"ping"}' : text);
    else if (request.type === "unsubscribe") this.#unfollow(tab, request.id);
    else if ("function" in request) this.#followFunction(tab, request);
    else this.#followQuery(tab, request);
  }

  /** The tab was closed, or starts again. */
  left(name: string): void {
    const tab = this.#tabs.get(name);
    this.#tabs.delete(name);
    for (const { release } of tab?.followed.values() ?? []) release();
  }

  #unfollow(tab: Tab, id: number): void {
    tab.followed.get(id)?.release();
    tab.followed.delete(id);
  }

  #followFunction(tab: Tab, { id, function: name, args = {} }: SubscribeFunction): void {
    const { functions } = this.#options;
    const live = liveFunction(
      { part: { functions }, during: (watch) => watch({ functions }) },
      name,
      args,
    );
    const say = (): void => {
      const { data, loading, error } = live.getSnapshot();
      const { last_seq: seq } = this.#options.store.cursor;
      if (error !== null) {
        const { code, message, data: of } = error;
        tab.tell({ type: "failed", sub: id, seq, code, message, data: of });
      } else if (!loading) tab.tell({ type: "result", sub: id, seq, value: data });
    };
    this.#unfollow(tab, id);
    tab.tell({ type: "joined", id, sub: id });
    const release = live.subscribe(say);
    tab.followed.set(id, { query: null, release, numbers: new Map(), isReady: true });
    say();
  }

  #followQuery(tab: Tab, { id, where = {}, ...rest }: Subscribe): void {
    this.#unfollow(tab, id);
    const { entity, order, limit, include } = rest;
    const demanded = this.#options.queries.follow({ entity, where, order, limit, include }, () => {
      const { error } = demanded.subscription;
      if (error === null || tab.followed.get(id) !== followed) return;
      this.#unfollow(tab, id);
      tab.tell({ type: "error", id, code: error.code, message: error.message });
    });
    const { subscription: query, release } = demanded;
    const numbers = new Map([[query, id]]);
    const followed: Followed = { query, release, numbers, isReady: false };
    tab.followed.set(id, followed);
    if (include === undefined) tab.tell({ type: "joined", id, sub: id });
    if (!query.isWaiting) this.#sendAll(tab, id, followed);
  }

  /** Sends all current rows of a query and of its includes. */
  #sendAll(tab: Tab, id: number, followed: Followed): void {
    const { query } = followed;
    const epoch = query?.epoch ?? null;
    if (query === null || epoch === null) return;
    followed.isReady = true;
    if (query.query.include !== undefined) this.#sendNumbers(tab, id, query, followed.numbers);
    for (const [part, sub] of followed.numbers)
      tab.tell({ type: "rows", sub, reset: true, rows: this.#rowsOf(part) });
    tab.tell({ type: "ready", sub: id, seq: this.#options.queries.heard, epoch });
  }

  #rowsOf({ query: { entity }, ids }: QuerySubscription): Row[] {
    const rows: Row[] = [];
    for (const id of ids) {
      const row = this.#options.store.confirmed({ entity, id });
      if (row !== null) rows.push(row);
    }
    return rows;
  }

  /** Sends the numbers of the related rows that a query includes. */
  #sendNumbers(
    tab: Tab,
    id: number,
    { related }: QuerySubscription,
    numbers: Map<QuerySubscription, number>,
  ): void {
    const parts = [...related].map(([path, part]) => {
      const sub = FIRST_INCLUDED + (tab.included += 1);
      numbers.set(part, sub);
      return [path, { sub }] as const;
    });
    tab.tell({ type: "joined", id, ...treeOf({ sub: id }, parts) });
  }

  /** Sends changes; those of one commit in one message. */
  #pass({ effects, seq }: AppliedEffects): void {
    if (effects.length === 0) return;
    const byQuery = new Map(effects);
    for (const tab of this.#tabs.values()) {
      const changes: SubscriptionChange[] = [];
      for (const [id, followed] of tab.followed) {
        const { query, numbers } = followed;
        if (query === null) continue;
        if (followed.isReady) changes.push(...changesOf(numbers, byQuery));
        else if (byQuery.has(query) && !query.isWaiting) this.#sendAll(tab, id, followed);
      }
      if (changes.length > 0) tab.tell({ type: "commit", seq, changes });
    }
  }
}

/** Returns the changes of a query and of its includes for a tab. */
function changesOf(
  numbers: ReadonlyMap<QuerySubscription, number>,
  byQuery: ReadonlyMap<QuerySubscription, RowEffects>,
): SubscriptionChange[] {
  return [...numbers].flatMap(([part, sub]) => {
    const { rows = [], patches = [], gone = [] } = byQuery.get(part) ?? {};
    if (rows.length + patches.length + gone.length === 0) return [];
    return [{ sub, rows: [...rows], patches: [...patches], gone: [...gone] }];
  });
}
