import type { SchemaShape } from "@pylonsync/query";
import type {
  DatabaseAccess,
  ChangeRecord,
  LogBounds,
  QueryPlan,
  Reader,
  ReadLimits,
  ReplicaLink,
  SchemaChange,
  Select,
  Store,
  StoreStats,
  Transaction,
  TransactOptions,
} from "../store.ts";
import { NameMap, NO_RENAMES } from "./name-map.ts";
import { RenamedReader } from "./renamed-reader.ts";
import { RenamedTransaction } from "./renamed-transaction.ts";
import type { Cancellation } from "../../util/cancellation.ts";

/**
 * A store with the names of the latest migrated app, on top of one with the names of the database.
 * Those are the same for every version of an app, so versions before and after a rename share the
 * database, including its change log.
 */
export class RenamedStore extends RenamedReader implements Store {
  readonly #inner: Store;
  #names = NO_RENAMES;

  constructor(inner: Store) {
    super(inner, () => this.#names, true);
    this.#inner = inner;
  }

  get dialect(): Store["dialect"] {
    return this.#inner.dialect;
  }
  get findsTypos(): boolean {
    return this.#inner.findsTypos;
  }
  get link(): ReplicaLink | null {
    return this.#inner.link;
  }

  /** The plan has the names of the database, like the statement. */
  explain(query: Select): Promise<QueryPlan> {
    return this.#inner.explain(this.#names.isEmpty ? query : this.#names.toSelect(query));
  }

  limitedReader(limits: ReadLimits): Reader {
    return new RenamedReader(this.#inner.limitedReader(limits), () => this.#names, true);
  }

  snapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal?: Cancellation,
  ): Promise<T> {
    const names = this.#names;
    return this.#inner.snapshot(
      (reader) => work(names.isEmpty ? reader : new RenamedReader(reader, () => names, true)),
      limits,
      signal,
    );
  }

  transact<T>(work: (tx: Transaction) => Promise<T>, options?: TransactOptions): Promise<T> {
    const names = this.#names;
    return this.#inner.transact(
      (tx) => work(names.isEmpty ? tx : new RenamedTransaction(tx, names)),
      options,
    );
  }

  bounds(): Promise<LogBounds> {
    return this.#inner.bounds();
  }
  async changes(seq: number, limit: number): Promise<ChangeRecord[]> {
    const changes = await this.#inner.changes(seq, limit);
    return this.#names.isEmpty ? changes : changes.map((change) => this.#names.toChange(change));
  }
  follow(listener: (changes: readonly ChangeRecord[]) => void): () => void {
    return this.#inner.follow((changes) =>
      listener(
        this.#names.isEmpty ? changes : changes.map((change) => this.#names.toChange(change)),
      ),
    );
  }
  settle(): Promise<void> {
    return this.#inner.settle();
  }
  trimLog(keep: number): Promise<void> {
    return this.#inner.trimLog(keep);
  }
  forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number> {
    return this.#inner.forgetDeleted(
      this.#names.table(entity),
      fields.map((field) => this.#names.column(entity, field)),
      after,
    );
  }
  renewLog(): Promise<void> {
    return this.#inner.renewLog();
  }

  storedManifest(): Promise<string | null> {
    return this.#inner.storedManifest();
  }
  /** With the names of the database, like the shapes. */
  readerOf(shapes: SchemaShape): Reader {
    return this.#inner.readerOf(shapes);
  }
  async migrate(plan: (stored: string | null) => SchemaChange): Promise<void> {
    let names = NO_RENAMES;
    await this.#inner.migrate((stored) => {
      const change = plan(stored);
      names = new NameMap(change.names ?? {});
      return change;
    });
    this.#names = names;
  }

  stats(): StoreStats {
    return this.#inner.stats();
  }
  time(): Promise<number> {
    return this.#inner.time();
  }
  ping(): Promise<DatabaseAccess> {
    return this.#inner.ping();
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}
