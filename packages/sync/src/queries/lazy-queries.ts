import { Lazy } from "../platform/lazy.ts";
import type { KeptQuery } from "../persistence/disk.ts";
import type { Demand, DemandedQuery, RowSource } from "../replica/row-source.ts";
import type { LazyFunctions } from "../live/lazy-functions.ts";
import type { QueryMode, QueryModeOptions } from "./query-mode.ts";
import type { QuerySubscriptions } from "./query-subscriptions.ts";

/** The queries of a page, before and after their code is loaded. */
export class LazyQueries implements RowSource {
  readonly #mode: Lazy<QueryMode>;

  /**
   * @param online provides the functions that share the connection
   * @param onTry as for Lazy
   */
  constructor(
    options: Omit<QueryModeOptions, "functions">,
    online: { load(): Promise<{ readonly functions: LazyFunctions }> },
    onTry: (isLoaded: boolean) => void,
  ) {
    this.#mode = new Lazy(
      options.platform,
      async () => {
        const [{ functions }, { QueryMode: Mode }] = await Promise.all([
          online.load(),
          import("./query-mode.ts"),
        ]);
        return new Mode({ ...options, functions });
      },
      onTry,
    );
  }

  /** The code and its state; null before it is loaded. */
  get mode(): QueryMode | null {
    return this.#mode.part;
  }

  /** @throws Error if the code can't be loaded now */
  load(): Promise<QueryMode> {
    return this.#mode.load();
  }

  get kept(): readonly KeptQuery[] | undefined {
    return this.mode?.queries.kept;
  }

  /** Runs the work with the queries, now or once they are loaded. */
  use(work: (queries: QuerySubscriptions) => void): void {
    this.#mode.use(({ queries }) => work(queries));
  }

  isMember(entity: string, condition: string, id: string): boolean {
    return this.mode?.queries.isMember(entity, condition, id) === true;
  }

  demand(query: DemandedQuery, changed: () => void): Demand {
    let demand: Demand | null = null;
    const release = this.#mode.during(({ queries }) => {
      const made = queries.demand(query, changed);
      demand = made;
      return () => made.release();
    });
    const now = (): Demand | null => demand;
    return {
      get isReady() {
        return now()?.isReady ?? false;
      },
      get error() {
        return now()?.error ?? null;
      },
      release,
    };
  }
}
