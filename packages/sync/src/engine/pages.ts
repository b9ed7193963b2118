import { Emitter } from "../platform/emitter.ts";

/** The maximum number of rows in one response. */
const MAX_PAGE = 1_000;

/** The range of a list. */
export interface LoadPageOptions {
  /** The maximum number of rows, from 1 to 1,000. Default 20. */
  readonly limit?: number | undefined;
  /** The number of rows to skip. Default 0. */
  readonly offset?: number | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: Readonly<Record<string, "asc" | "desc">> | undefined;
}

/** A part of a list. */
export interface LoadedPage<T> {
  readonly data: T[];
  /** The number of rows in this part. */
  readonly total: number;
  readonly hasMore: boolean;
}

/** The options of an infinite query. */
export interface InfiniteQueryOptions {
  /** The number of rows that `loadMore` adds, from 1 to 1,000. Default 20. */
  readonly pageSize?: number | undefined;
  readonly order?: LoadPageOptions["order"];
}

/** Loads a part of a list from the server. @throws RangeError for an invalid limit */
export async function loadPage(
  ask: (path: string, filter: Readonly<Record<string, unknown>>) => Promise<unknown>,
  entity: string,
  { limit = 20, offset = 0, order }: LoadPageOptions = {},
): Promise<LoadedPage<unknown>> {
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_PAGE))
    throw new RangeError(`The limit of a page must be from 1 to ${MAX_PAGE}, not ${limit}.`);
  // One extra row shows whether there are more.
  const asked = Math.min(limit + 1, MAX_PAGE);
  const answer = await ask(`/api/query/${encodeURIComponent(entity)}`, {
    $limit: asked,
    $offset: offset,
    ...(order === undefined ? {} : { $order: order }),
  });
  const rows: unknown[] = Array.isArray(answer) ? answer : [];
  const data = rows.slice(0, limit);
  return { data, total: data.length, hasMore: rows.length === asked };
}

/**
 * A list that loads pages from the server. It is not live: `reset` starts again.
 *
 * @example
 * const todos = engine.createInfiniteQuery<{ title: string }>("Todo", { pageSize: 50 });
 * todos.subscribe(() => render(todos.data));
 * await todos.loadMore();
 */
export class InfiniteQuery<T> {
  readonly #load: (page: LoadPageOptions) => Promise<LoadedPage<T>>;
  readonly #options: InfiniteQueryOptions;
  readonly #changed = new Emitter<void>();
  #data: readonly T[] = [];
  #hasMore = true;
  #loading: Promise<void> | null = null;
  /** The number of resets: pages requested before the last one are ignored. */
  #beginning = 0;

  constructor(
    load: (page: LoadPageOptions) => Promise<LoadedPage<T>>,
    options: InfiniteQueryOptions = {},
  ) {
    this.#load = load;
    this.#options = options;
  }

  /** The loaded rows. The array is stable until more rows are loaded. */
  get data(): readonly T[] {
    return this.#data;
  }
  /** Also true before the first page is loaded. */
  get hasMore(): boolean {
    return this.#hasMore;
  }
  get loading(): boolean {
    return this.#loading !== null;
  }

  /** Loads the next page, or waits for the one that is loading. @throws PylonClientError */
  loadMore(): Promise<void> {
    if (this.#loading !== null) return this.#loading;
    if (!this.#hasMore) return Promise.resolve();
    const beginning = this.#beginning;
    const loading = this.#add(beginning).finally(() => {
      if (beginning !== this.#beginning) return;
      this.#loading = null;
      this.#changed.emit();
    });
    this.#loading = loading;
    this.#changed.emit();
    return loading;
  }

  /** Listens to new data and the loading state. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** Empties the list; `loadMore` starts with the first page again. */
  reset(): void {
    this.#beginning += 1;
    this.#data = [];
    this.#hasMore = true;
    this.#loading = null;
    this.#changed.emit();
  }

  async #add(beginning: number): Promise<void> {
    const { pageSize = 20, order } = this.#options;
    const page = await this.#load({ limit: pageSize, offset: this.#data.length, order });
    if (beginning !== this.#beginning) return;
    this.#data = [...this.#data, ...page.data];
    this.#hasMore = page.hasMore;
  }
}
