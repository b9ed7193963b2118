import { MAX_INCLUDE_DEPTH, type Row } from "@pylonsync/protocol";
import { invalidQuery, parseUnknownFilter } from "@pylonsync/query";
import type { ListSource } from "./included-list.ts";
import type { IncludeOptions, LiveList } from "./live-query.ts";
import type { LocalStore } from "./local-store.ts";

const NONE: readonly Row[] = [];

/** The rows of a query with their related rows; empty until the replica has a schema. */
export class IncludedQuery implements LiveList {
  readonly #rows: LiveList;
  readonly #make: () => LiveList | undefined;
  #joined: LiveList | undefined;

  /** @throws QueryError if the options are invalid */
  constructor(store: LocalStore, entity: string, include: IncludeOptions, source: ListSource) {
    check(include, 1);
    this.#rows = source.rows;
    this.#make = () => store.schemaQueries?.join(store, entity, include, source);
  }

  isReady(): boolean | null {
    return this.#rows.isReady();
  }

  getSnapshot(): readonly Row[] {
    // For the errors of the query.
    const rows = this.#rows.getSnapshot();
    return rows.length === 0 ? NONE : (this.#list()?.getSnapshot() ?? NONE);
  }

  subscribe(listener: () => void): () => void {
    const joined = this.#list();
    if (joined !== undefined) return joined.subscribe(listener);
    let stop = this.#rows.subscribe(() => {
      const list = this.#list();
      if (list !== undefined) {
        stop();
        stop = list.subscribe(listener);
      }
      listener();
    });
    return () => stop();
  }

  #list(): LiveList | undefined {
    return (this.#joined ??= this.#make());
  }
}

/** @throws QueryError if the includes nest too deeply, or a filter is invalid */
function check(include: IncludeOptions, depth: number): void {
  if (depth > MAX_INCLUDE_DEPTH)
    invalidQuery("include", `Includes nest at most ${MAX_INCLUDE_DEPTH} levels.`);
  for (const asked of Object.values(include)) {
    const { where = {}, order, include: inner = {} } = asked === true ? {} : asked;
    parseUnknownFilter({ ...where, ...(order === undefined ? {} : { $order: order }) });
    check(inner, depth + 1);
  }
}
