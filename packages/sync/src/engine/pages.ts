import { Emitter } from "../platform/emitter.ts";

/** The most rows that the server answers at a time. */
const MAX_PAGE = 1_000;

/** Which part of a list. */
export interface LoadPageOptions {
  /** From 1 to 1,000. Default 20. */
  readonly limit?: number | undefined;
  /** Rows before the first one. Default 0. */
  readonly offset?: number | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: Readonly<Record<string, "asc" | "desc">> | undefined;
}

/** A part of a list. */
export interface LoadedPage<T> {
  readonly data: T[];
  /** How many rows this part has. */
  readonly total: number;
  readonly hasMore: boolean;
}

/** What an infinite query shows. */
export interface InfiniteQueryOptions {
  /** Rows that `loadMore` adds, from 1 to 1,000. Default 20. */
  readonly pageSize?: number | undefined;
  readonly order?: LoadPageOptions["order"];
}

/** Asks the server for a part of a list. @throws RangeError for a limit that no page has */
export async function loadPage(
  ask: (path: string, filter: Readonly<Record<string, unknown>>) => Promise<unknown>,
  entity: string,
  { limit = 20, offset = 0, order }: LoadPageOptions = {},
): Promise<LoadedPage<unknown>> {
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_PAGE))
    throw new RangeError(`A page has 1 to ${MAX_PAGE} rows, not ${limit}.`);
  // One more than is wanted tells whether there are more.
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
 * A list of the server's that grows by a page at a time. It is not live: `reset` begins again.
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
  /** Counts the beginnings: what an older one still awaits is not added. */
  #beginning = 0;

  constructor(
    load: (page: LoadPageOptions) => Promise<LoadedPage<T>>,
    options: InfiniteQueryOptions = {},
  ) {
    this.#load = load;
    this.#options = options;
  }

  /** What has come. The same array until more comes. */
  get data(): readonly T[] {
    return this.#data;
  }
  /** True before the first page too. */
  get hasMore(): boolean {
    return this.#hasMore;
  }
  get loading(): boolean {
    return this.#loading !== null;
  }

  /** Adds the next page; while one is on its way, waits for that. @throws PylonClientError */
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

  /** Called when data comes, or loading begins or ends. @returns an unsubscribe function */
  subscribe(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** Empties the list; `loadMore` begins with the first page again. */
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
