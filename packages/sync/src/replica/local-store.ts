import type {
  ChangeEvent,
  ClientChange,
  RelationKind,
  ReplicaSchemaMessage,
  Row,
} from "@pylonsync/protocol";
import type { EntityShape } from "@pylonsync/query";
import { Emitter } from "../platform/emitter.ts";
import { LocalChanges, type LocalChange } from "./local-changes.ts";
import type { Demand, DemandedQuery, RowSource } from "./row-source.ts";
import { NO_SCHEMA, type Schema, type SchemaQueries } from "./schema.ts";
import { isSameRow, rowOf, Table, type TableChange } from "./table.ts";
import { View, type ViewQuery } from "./view.ts";

/** Identifies a row. */
export interface RowKey {
  readonly entity: string;
  readonly id: string;
}

/** The parts of a change that the store needs. */
export type AppliedChange = Omit<ChangeEvent, "timestamp"> & Partial<ChangeEvent>;

/** The position of a replica in the server's log. */
export interface SyncCursor {
  readonly last_seq: number;
}

/** The first rows of a query, as an earlier visit showed them. */
export interface Preview {
  readonly entity: string;
  /** The key of the `ViewQuery`. */
  readonly key: string;
  readonly rows: readonly Row[];
}

/** A view that is kept up to date until `stop`. */
export interface WatchedView {
  readonly view: View;
  readonly stop: () => void;
}

/**
 * The local replica: the confirmed rows of the server, overlaid with pending writes.
 *
 * Reads see both. Confirmed rows only change with the server's events. A pending write is overlaid
 * until the server's events contain it, or is removed when it is rejected, so that a rollback needs
 * no undo. Each row is stored once, and stays the same object while its values are the same. After
 * each step rows and views are consistent; then listeners are called: of rows, of views, of
 * entities.
 *
 * @example
 * const todos = engine.store.list("Todo");
 * const stop = engine.store.subscribe("Todo", () => render(engine.store.list("Todo")));
 */
export class LocalStore {
  readonly #tables = new Map<string, Table>();
  /** The pending writes. */
  #pending: readonly ClientChange[] = [];
  /** Rows that the app shows itself, below the writes. */
  readonly #local = new LocalChanges();
  /** Both, as currently overlaid. */
  #applied: readonly LocalChange[] = [];
  #localIds = 0;
  readonly #versions = new Map<string, number>();
  readonly #changed = new Emitter<ReadonlySet<string>>();
  readonly #confirmedChanged = new Emitter<readonly RowKey[]>();
  readonly #schemaChanged = new Emitter<void>();
  readonly #viewListeners = new Map<View, Set<() => void>>();
  readonly #rowListeners = new Map<string, Set<() => void>>();
  readonly #watched = new Emitter<void>();
  readonly #cleared = new Emitter<void>();
  /** The results shown before there is a replica, by `nameOf` their entity and key. */
  #previews: ReadonlyMap<string, Preview> = new Map();
  #seq = 0;
  #schema: Schema = NO_SCHEMA;
  #source: RowSource | null = null;

  /** The change up to which the confirmed rows are known. */
  get cursor(): SyncCursor {
    return { last_seq: this.#seq };
  }

  /** The field types of the entities, as sent by the server. */
  get schema(): ReplicaSchemaMessage {
    return this.#schema.message;
  }

  /**
   * Returns the field types of an entity; undefined if they are unknown. The object is stable until
   * they change.
   */
  shape(entity: string): EntityShape | undefined {
    return this.#schema.shape(entity);
  }

  /** The parts of queries that need a schema; null without one. */
  get schemaQueries(): SchemaQueries | null {
    return this.#schema.queries;
  }

  /** Returns the definition of a relation; null if the server has sent none with this name. */
  relation(entity: string, name: string): RelationKind | null {
    return this.#schema.relation(entity, name);
  }

  /** Returns a number that increases whenever the visible rows of the entity change. */
  version(entity: string): number {
    return this.#versions.get(entity) ?? 0;
  }

  /** Returns all visible rows of an entity, in no particular order. */
  list(entity: string): Row[] {
    const rows: Row[] = [];
    this.#tables.get(entity)?.forEachRow((row) => rows.push(row));
    return rows;
  }

  /** Returns a row as it is shown now, or null. */
  get(entity: string, id: string): Row | null {
    return this.#tables.get(entity)?.get(id) ?? null;
  }

  /**
   * Calls the listener after rows have changed.
   *
   * @param entity only for changes of this entity; default: all entities
   * @returns an unsubscribe function
   */
  subscribe(listener: () => void): () => void;
  subscribe(entity: string, listener: () => void): () => void;
  subscribe(entityOrListener: string | (() => void), listener?: () => void): () => void {
    if (typeof entityOrListener === "function") return this.#changed.on(() => entityOrListener());
    return this.#changed.on((entities) => {
      if (entities.has(entityOrListener)) listener?.();
    });
  }

  /** Calls the listener after this row has changed. @returns an unsubscribe function */
  subscribeRow({ entity, id }: RowKey, listener: () => void): () => void {
    return subscribeTo(this.#rowListeners, nameOf(entity, id), listener);
  }

  /** Calls the listener after the field types have changed. @returns an unsubscribe function */
  onSchema(listener: () => void): () => void {
    return this.#schemaChanged.on(listener);
  }

  /**
   * Watches a view of a table; subscribers to the same query share it.
   *
   * @param made a view that `view` has built from the current rows, to be reused
   * @param wanted the number of rows needed, from the first
   * @param listener called after these rows have changed
   */
  watch(entity: string, made: View, wanted: number, listener: () => void): WatchedView {
    const { views } = this.#table(entity);
    const view = views.acquire(made, wanted);
    const unsubscribe = subscribeTo(this.#viewListeners, view, listener);
    this.#watched.emit();
    return {
      view,
      stop: () => {
        unsubscribe();
        views.release(view);
      },
    };
  }

  /** Builds a view of the current rows, which is not updated. */
  view(entity: string, query: ViewQuery, wanted: number): View {
    const view = new View(query);
    view.want(wanted);
    this.#table(entity).views.fill(view);
    return view;
  }

  /** Listens to new watched queries. @returns an unsubscribe function */
  onWatch(listener: () => void): () => void {
    return this.#watched.on(listener);
  }

  /** Returns the results of watched queries with at most this number of rows. */
  *windows(maxRows: number): Generator<Preview & { readonly version: number }> {
    for (const [entity, { views }] of this.#tables)
      for (const view of views.all())
        if (view.wanted <= maxRows)
          yield {
            entity,
            key: view.query.key,
            rows: view.rows(0, view.wanted),
            version: view.version,
          };
  }

  /**
   * Shows the results of an earlier visit until rows are loaded: reading a large replica takes a
   * while.
   *
   * @param schema the field types, with which queries are compiled to the same keys
   */
  preview(previews: readonly Preview[], schema: Schema = NO_SCHEMA): void {
    if (this.#seq > 0) return;
    this.#previews = new Map(previews.map((one) => [nameOf(one.entity, one.key), one]));
    this.#schema = schema;
    this.#schemaChanged.emit();
  }

  /** Returns the result of a query in an earlier visit; undefined once there are rows. */
  previewOf(entity: string, key: string): readonly Row[] | undefined {
    return this.#previews.get(nameOf(entity, key))?.rows;
  }

  /** From now on, rows are loaded on demand. */
  rowsFrom(source: RowSource): void {
    this.#source = source;
  }

  /**
   * Requests the rows of a query.
   *
   * @param changed called when they are ready, or failed
   * @returns null for a full replica
   */
  demand(query: DemandedQuery, changed: () => void): Demand | null {
    return this.#source?.demand(query, changed) ?? null;
  }

  /** Whether a row was loaded by a query with this filter. */
  isMember(entity: string, condition: string, id: string): boolean {
    return this.#source?.isMember(entity, condition, id) === true;
  }

  /** Whether rows are only loaded on demand. */
  get isByDemand(): boolean {
    return this.#source !== null;
  }

  /**
   * Listens to confirmed rows that the server's events changed; not called when all were replaced.
   */
  onConfirmed(listener: (keys: readonly RowKey[]) => void): () => void {
    return this.#confirmedChanged.on(listener);
  }

  /** Returns a row without pending writes. */
  confirmed({ entity, id }: RowKey): Row | null {
    return this.#tables.get(entity)?.confirmed(id) ?? null;
  }

  /** The number of rows without pending writes. */
  get confirmedCount(): number {
    return [...this.#tables.values()].reduce((sum, { allConfirmed }) => sum + allConfirmed.size, 0);
  }

  /** Returns all rows without pending writes. */
  *allConfirmed(): Generator<RowKey & { readonly row: Row }> {
    for (const [entity, table] of this.#tables)
      for (const [id, row] of table.allConfirmed) yield { entity, id, row };
  }

  /**
   * Applies the server's events. Those before the cursor are old; several may have the same number.
   *
   * @param members entities of which other rows may match the queries that request them
   */
  applyChanges(events: readonly AppliedChange[], members?: ReadonlySet<string>): void {
    const fresh: AppliedChange[] = [];
    for (const event of events) {
      if (event.seq < this.#seq) continue;
      this.#seq = event.seq;
      fresh.push(event);
    }
    const keys = fresh.map(({ entity, row_id: id }): RowKey => ({ entity, id }));
    // Before the rows change, because the overlay treats rows with unchanged writes as unchanged.
    if (keys.filter(({ entity, id }) => this.#local.forget(entity, id)).length > 0) this.#lay();
    for (const { entity, row_id: id, kind, data } of fresh)
      this.#table(entity).confirm(id, kind, data);
    this.#settle(
      keys.map(({ entity }) => entity),
      members,
    );
    if (keys.length > 0) this.#confirmedChanged.emit(keys);
  }

  /** Sets the field types that the server has sent. */
  describe(schema: Schema): void {
    if (this.#schema.equals(schema)) return;
    this.#schema = schema;
    this.#schemaChanged.emit();
  }

  /**
   * Advances the cursor: all changes up to this one are known, even if none was for this client.
   */
  advanceTo(seq: number): void {
    this.#seq = Math.max(this.#seq, seq);
  }

  /**
   * Replaces all confirmed rows atomically, so that listeners never see an empty table in between.
   *
   * @param schema the field types that the server has sent
   */
  replaceAll(events: readonly ChangeEvent[], seq: number, schema?: Schema): void {
    this.#replace(
      events.map(({ entity, row_id: id, data }) => ({ entity, id, row: rowOf(id, data) })),
      seq,
      schema,
    );
  }

  /** Loads stored rows, with the stored field types. */
  restore(
    rows: Iterable<RowKey & { readonly row: Row | null }>,
    seq: number,
    schema?: Schema,
  ): void {
    this.#replace(rows, seq, schema);
  }

  /**
   * Overlays these writes over the confirmed rows, in this order, in place of the previous ones.
   */
  setPending(pending: readonly ClientChange[]): void {
    this.#pending = pending;
    this.#settle(this.#lay());
  }

  /**
   * Resolves writes with relative operations to their current results. A write to a missing row has
   * no result.
   */
  resolved(changes: readonly ClientChange[]): ReadonlyMap<ClientChange, ClientChange> {
    const found = new Map<ClientChange, ClientChange>();
    const byRow = new Map<string, ReturnType<Table["resolved"]>>();
    for (const change of changes) {
      const { entity, row_id: id, kind, data = {} } = change;
      if (kind !== "update" || !this.#schema.hasOperators(entity, data)) continue;
      const name = nameOf(entity, id);
      const values = byRow.get(name) ?? this.#table(entity).resolved(id);
      byRow.set(name, values);
      found.set(change, { ...change, data: values.get(change) ?? {} });
    }
    return found;
  }

  /**
   * Shows an app's own row, such as a message that a function is about to write: in memory, until
   * the server sends a change of a row with this id, or a later call deletes it. Prefer
   * `engine.insert`, which is also written to the server and rolled back on rejection.
   *
   * @param change in the form of a server's change; its `seq` is ignored
   */
  applyChange(change: LocalChange): void {
    const { entity, row_id: id } = change;
    this.#local.add(change, this.confirmed({ entity, id }) !== null);
    this.#settle(this.#lay());
  }
  /**
   * Like `applyChange`, for several changes. They are shown when it resolves; they are not stored
   * on disk.
   */
  applyChangesAsync(changes: readonly LocalChange[]): Promise<void> {
    for (const change of changes) this.applyChange(change);
    return Promise.resolve();
  }
  /** Shows a row with a new id. @returns the id @deprecated Use `engine.insert`. */
  optimisticInsert(entity: string, data: Readonly<Record<string, unknown>>): string {
    const id = `_pending_${(this.#localIds += 1)}`;
    this.applyChange({ entity, row_id: id, kind: "insert", data });
    return id;
  }
  /** Changes values of a row locally. @deprecated Use `engine.update`. */
  optimisticUpdate(entity: string, id: string, data: Readonly<Record<string, unknown>>): void {
    this.applyChange({ entity, row_id: id, kind: "update", data });
  }
  /** Hides a row locally. @deprecated Use `engine.delete`. */
  optimisticDelete(entity: string, id: string): void {
    this.applyChange({ entity, row_id: id, kind: "delete" });
  }
  /** Calls the listeners of all entities. Changes notify listeners automatically. */
  notify(): void {
    this.#changed.emit(new Set(this.#tables.keys()));
  }
  /** Drops all rows. An engine then loads those of the server again. */
  clearAll(): void {
    this.replaceAll([], 0);
    this.#cleared.emit();
  }
  /** For the engine: listens to `clearAll`. @returns an unsubscribe function */
  onClear(listener: () => void): () => void {
    return this.#cleared.on(listener);
  }

  /** Overlays local rows and pending writes. @returns the entities */
  #lay(): Iterable<string> {
    const before = this.#applied;
    const laid = [...this.#local.all, ...this.#pending];
    this.#applied = laid;
    const isLonger = before.every((change, index) => change === laid[index]);
    // Existing overlays are kept when writes are appended: a long queue is not applied again each
    // time.
    const changes = isLonger ? laid.slice(before.length) : laid;
    const byEntity = new Map<string, LocalChange[]>();
    const ownOf = (entity: string): LocalChange[] => {
      const own = byEntity.get(entity) ?? [];
      byEntity.set(entity, own);
      return own;
    };
    for (const change of changes) ownOf(change.entity).push(change);
    if (!isLonger) for (const { entity } of before) ownOf(entity);
    for (const [entity, own] of byEntity)
      this.#table(entity)[isLonger ? "append" : "setPending"](own);
    return byEntity.keys();
  }

  #replace(
    rows: Iterable<RowKey & { readonly row: Row | null }>,
    seq: number,
    schema: Schema = NO_SCHEMA,
  ): void {
    const previews = this.#previews;
    this.#previews = new Map();
    const isNew = !this.#schema.equals(schema) || previews.size > 0;
    if (isNew) this.#schema = schema;
    this.#seq = seq;
    const tables = new Map<string, Map<string, Row>>();
    for (const { entity, id, row } of rows) {
      let table = tables.get(entity);
      if (table === undefined) tables.set(entity, (table = new Map()));
      if (row !== null) table.set(id, row);
      this.#local.forget(entity, id);
    }
    // Without a replica, the owner of the rows is unknown.
    if (seq === 0) this.#local.clear();
    this.#local.keepOwnRows();
    this.#lay();
    for (const { entity, rows: shown } of previews.values())
      for (const row of shown) {
        const found = tables.get(entity)?.get(row.id);
        if (found !== undefined && isSameRow(found, row)) tables.get(entity)?.set(row.id, row);
      }
    const changes = new Map<string, TableChange | null>();
    for (const entity of new Set([...this.#tables.keys(), ...tables.keys()]))
      changes.set(entity, this.#table(entity).replace(tables.get(entity) ?? new Map()));
    if (isNew) this.#schemaChanged.emit();
    this.#announce(changes);
  }

  #settle(entities: Iterable<string>, members?: ReadonlySet<string>): void {
    const changes = new Map<string, TableChange | null>();
    for (const entity of new Set(entities)) changes.set(entity, this.#table(entity).settle());
    this.#announce(changes, members);
  }

  #table(entity: string): Table {
    let table = this.#tables.get(entity);
    if (table === undefined) {
      table = new Table((data, row) => this.#schema.normalised(entity, data, row));
      this.#tables.set(entity, table);
    }
    return table;
  }

  #announce(
    changes: ReadonlyMap<string, TableChange | null>,
    members: ReadonlySet<string> = NONE,
  ): void {
    const listeners = new Set<() => void>();
    const touched = new Set<string>();
    for (const [entity, change] of changes) {
      if (change === null) continue;
      touched.add(entity);
      this.#versions.set(entity, this.version(entity) + 1);
      const found = [...change.views].map((view) => this.#viewListeners.get(view));
      if (this.#rowListeners.size > 0)
        for (const id of change.ids) found.push(this.#rowListeners.get(nameOf(entity, id)));
      for (const set of found) for (const listener of set ?? []) listeners.add(listener);
    }
    for (const [entity, { views }] of this.#tables)
      for (const view of views.related)
        if (members.has(entity) || view.query.related?.some((one) => touched.has(one))) {
          views.fill(view);
          for (const listener of this.#viewListeners.get(view) ?? []) listeners.add(listener);
        }
    for (const listener of listeners) listener();
    if (touched.size > 0) this.#changed.emit(touched);
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Names of entities contain no slash. */
function nameOf(entity: string, id: string): string {
  return `${entity}/${id}`;
}

function subscribeTo<K>(
  listeners: Map<K, Set<() => void>>,
  key: K,
  listener: () => void,
): () => void {
  const own = (): void => listener();
  const set = listeners.get(key);
  if (set === undefined) listeners.set(key, new Set([own]));
  else set.add(own);
  return () => {
    const known = listeners.get(key);
    known?.delete(own);
    if (known?.size === 0) listeners.delete(key);
  };
}
