import type { ChangeEvent, ClientChange, ReplicaSchemaMessage, Row } from "@pylonsync/protocol";
import type { EntityShape } from "@pylonsync/query";
import { Emitter } from "../platform/emitter.ts";
import { LocalChanges, type LocalChange } from "./local-changes.ts";
import { ReplicaSchema } from "./replica-schema.ts";
import type { Demand, DemandedQuery, RowSource } from "./row-source.ts";
import { isSameRow, rowOf, Table, type TableChange } from "./table.ts";
import { View, type ViewQuery } from "./view.ts";

/** Which row. */
export interface RowKey {
  readonly entity: string;
  readonly id: string;
}

/** What the store takes of a change. */
export type AppliedChange = Omit<ChangeEvent, "timestamp"> & Partial<ChangeEvent>;

/** Where a replica is in the server's log. */
export interface SyncCursor {
  readonly last_seq: number;
}

/** The first rows of a query, as an earlier visit showed them. */
export interface Preview {
  readonly entity: string;
  /** Of the `ViewQuery`. */
  readonly key: string;
  readonly rows: readonly Row[];
}

/** A view that is kept in step until `stop`. */
export interface WatchedView {
  readonly view: View;
  readonly stop: () => void;
}

/**
 * The local replica: what the server has confirmed, and over it the writes that are still on their
 * way.
 *
 * A read sees both. The confirmed rows change only by the server's events; a pending write lies
 * over them until the server's own events hold it, or is taken away when it was refused, so a
 * rollback needs no undo. Each row is held once, and stays the same object while its values stay
 * the same. After each step rows and views agree; then listeners are called: of rows, of views, of
 * entities.
 *
 * @example
 * const todos = engine.store.list("Todo");
 * const stop = engine.store.subscribe("Todo", () => render(engine.store.list("Todo")));
 */
export class LocalStore {
  readonly #tables = new Map<string, Table>();
  /** The writes that are on their way. */
  #pending: readonly ClientChange[] = [];
  /** What the app shows by itself, under the writes. */
  readonly #local = new LocalChanges();
  /** Both, as they lie over the confirmed rows now. */
  #laid: readonly LocalChange[] = [];
  #localIds = 0;
  readonly #versions = new Map<string, number>();
  readonly #changed = new Emitter<ReadonlySet<string>>();
  readonly #confirmedChanged = new Emitter<readonly RowKey[]>();
  readonly #schemaChanged = new Emitter<void>();
  readonly #viewListeners = new Map<View, Set<() => void>>();
  readonly #rowListeners = new Map<string, Set<() => void>>();
  readonly #watched = new Emitter<void>();
  readonly #cleared = new Emitter<void>();
  /** What queries show before there is a replica, by `nameOf` their entity and key. */
  #previews: ReadonlyMap<string, Preview> = new Map();
  #seq = 0;
  #schema = ReplicaSchema.UNKNOWN;
  #source: RowSource | null = null;

  /** The change up to which the confirmed rows are known. */
  get cursor(): SyncCursor {
    return { last_seq: this.#seq };
  }

  /** The kinds of the entities' fields, as the server told them. */
  get schema(): ReplicaSchemaMessage {
    return this.#schema.message;
  }

  /**
   * The kinds of an entity's fields; undefined where they are not known. The same object comes back
   * until they change.
   */
  shape(entity: string): EntityShape | undefined {
    return this.#schema.shape(entity);
  }

  /** A number that grows whenever the entity's rows look different. */
  version(entity: string): number {
    return this.#versions.get(entity) ?? 0;
  }

  /** All rows of an entity as they appear now, in no order. */
  list(entity: string): Row[] {
    const rows: Row[] = [];
    this.#tables.get(entity)?.forEachRow((row) => rows.push(row));
    return rows;
  }

  /** A row as it appears now; null when it is not there. */
  get(entity: string, id: string): Row | null {
    return this.#tables.get(entity)?.get(id) ?? null;
  }

  /**
   * Calls the listener after rows have changed.
   *
   * @param entity only for changes of this entity; absent for all
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

  /** Calls the listener after the kinds of fields have changed. @returns an unsubscribe function */
  onSchema(listener: () => void): () => void {
    return this.#schemaChanged.on(listener);
  }

  /**
   * A view of a table that is kept in step with it; those who watch the same query share it.
   *
   * @param made as `view` has made it of the rows of now, so that it need not be made again
   * @param wanted how many of its rows are asked for, from the first
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

  /** A view as it is now, which nobody keeps in step. */
  view(entity: string, query: ViewQuery, wanted: number): View {
    const view = new View(query);
    view.want(wanted);
    this.#table(entity).views.fill(view);
    return view;
  }

  /** Told when another query is watched. @returns an unsubscribe function */
  onWatch(listener: () => void): () => void {
    return this.#watched.on(listener);
  }

  /** What the watched queries show that ask for no more rows than this. */
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
   * Shows what an earlier visit showed, until rows come: a large replica takes a while to be read.
   *
   * @param schema the kinds of the fields, by which a query is known again
   */
  preview(previews: readonly Preview[], schema?: ReplicaSchemaMessage): void {
    if (this.#seq > 0) return;
    this.#previews = new Map(previews.map((one) => [nameOf(one.entity, one.key), one]));
    this.#schema = ReplicaSchema.of(schema);
    this.#schemaChanged.emit();
  }

  /** What an earlier visit showed of a query; undefined once there are rows. */
  previewOf(entity: string, key: string): readonly Row[] | undefined {
    return this.#previews.get(nameOf(entity, key))?.rows;
  }

  /** From now on rows come by what is asked for, and not all of them by themselves. */
  rowsFrom(source: RowSource): void {
    this.#source = source;
  }

  /**
   * Asks for the rows of a query.
   *
   * @param changed called when they are ready, or can't come
   * @returns null where all rows come by themselves
   */
  demand(query: DemandedQuery, changed: () => void): Demand | null {
    return this.#source?.demand(query, changed) ?? null;
  }

  /** Whether rows come only for what is asked for. */
  get isByDemand(): boolean {
    return this.#source !== null;
  }

  /** Told which confirmed rows the server's events changed; not when all were replaced. */
  onConfirmed(listener: (keys: readonly RowKey[]) => void): () => void {
    return this.#confirmedChanged.on(listener);
  }

  /** The row without what is on its way. */
  confirmed({ entity, id }: RowKey): Row | null {
    return this.#tables.get(entity)?.confirmed(id) ?? null;
  }

  /** All rows without what is on its way. */
  *allConfirmed(): Generator<RowKey & { readonly row: Row }> {
    for (const [entity, table] of this.#tables)
      for (const [id, row] of table.allConfirmed) yield { entity, id, row };
  }

  /** Takes the server's events. Those before the cursor are old; several may share one number. */
  applyChanges(events: readonly AppliedChange[]): void {
    const fresh: AppliedChange[] = [];
    for (const event of events) {
      if (event.seq < this.#seq) continue;
      this.#seq = event.seq;
      fresh.push(event);
    }
    const keys = fresh.map(({ entity, row_id: id }): RowKey => ({ entity, id }));
    // Before the rows change, because laying anew takes a row for unchanged whose writes are.
    if (keys.filter(({ entity, id }) => this.#local.forget(entity, id)).length > 0) this.#lay();
    for (const { entity, row_id: id, kind, data } of fresh)
      this.#table(entity).confirm(id, kind, data);
    this.#settle(keys.map(({ entity }) => entity));
    if (keys.length > 0) this.#confirmedChanged.emit(keys);
  }

  /** The kinds of the fields, as the server tells them now. */
  describe(schema: ReplicaSchemaMessage): void {
    const known = ReplicaSchema.of(schema);
    if (this.#schema.equals(known)) return;
    this.#schema = known;
    this.#schemaChanged.emit();
  }

  /** Everything up to this change is known, though nothing of it may have been for this client. */
  advanceTo(seq: number): void {
    this.#seq = Math.max(this.#seq, seq);
  }

  /**
   * Replaces all confirmed rows at once, so that nobody sees an empty table in between.
   *
   * @param schema what the server tells of their fields
   */
  replaceAll(events: readonly ChangeEvent[], seq: number, schema?: ReplicaSchemaMessage): void {
    this.#replace(
      events.map(({ entity, row_id: id, data }) => ({ entity, id, row: rowOf(id, data) })),
      seq,
      schema,
    );
  }

  /** Takes rows that were kept, with what was known of their fields. */
  restore(
    rows: Iterable<RowKey & { readonly row: Row | null }>,
    seq: number,
    schema?: ReplicaSchemaMessage,
  ): void {
    this.#replace(rows, seq, schema);
  }

  /** Lays these writes over the confirmed rows, in this order, in place of the ones before. */
  setPending(pending: readonly ClientChange[]): void {
    this.#pending = pending;
    this.#settle(this.#lay());
  }

  /**
   * Shows a row of the app's own, such as a message that a function is about to write: in memory,
   * until the server says something about a row with this id, or a later call deletes it. Prefer
   * `engine.insert`, which is also written to the server and taken back when that refuses it.
   *
   * @param change as a change of the server's; its `seq` does not matter
   */
  applyChange(change: LocalChange): void {
    const { entity, row_id: id } = change;
    this.#local.add(change, this.confirmed({ entity, id }) !== null);
    this.#settle(this.#lay());
  }
  /** As `applyChange`, of several. They are shown when it resolves; nothing of them is on disk. */
  applyChangesAsync(changes: readonly LocalChange[]): Promise<void> {
    for (const change of changes) this.applyChange(change);
    return Promise.resolve();
  }
  /** Shows a row under an id of its own. @returns the id @deprecated Use `engine.insert`. */
  optimisticInsert(entity: string, data: Readonly<Record<string, unknown>>): string {
    const id = `_pending_${(this.#localIds += 1)}`;
    this.applyChange({ entity, row_id: id, kind: "insert", data });
    return id;
  }
  /** Shows other values of a row. @deprecated Use `engine.update`. */
  optimisticUpdate(entity: string, id: string, data: Readonly<Record<string, unknown>>): void {
    this.applyChange({ entity, row_id: id, kind: "update", data });
  }
  /** Hides a row. @deprecated Use `engine.delete`. */
  optimisticDelete(entity: string, id: string): void {
    this.applyChange({ entity, row_id: id, kind: "delete" });
  }
  /** Calls the listeners of all entities. Every change here has called those that it concerns. */
  notify(): void {
    this.#changed.emit(new Set(this.#tables.keys()));
  }
  /** Drops all rows. An engine takes those of the server again. */
  clearAll(): void {
    this.replaceAll([], 0);
    this.#cleared.emit();
  }
  /** For the engine: told after `clearAll`. @returns an unsubscribe function */
  onClear(listener: () => void): () => void {
    return this.#cleared.on(listener);
  }

  /** Lays what the app shows and what is on its way over the rows. @returns the entities */
  #lay(): Iterable<string> {
    const before = this.#laid;
    const laid = [...this.#local.all, ...this.#pending];
    this.#laid = laid;
    const isLonger = before.every((change, index) => change === laid[index]);
    // What is under the new writes stays as it is: a long queue is not laid anew for each of them.
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
    schema: ReplicaSchemaMessage | undefined,
  ): void {
    const known = ReplicaSchema.of(schema);
    const previews = this.#previews;
    this.#previews = new Map();
    const isNew = !this.#schema.equals(known) || previews.size > 0;
    if (isNew) this.#schema = known;
    this.#seq = seq;
    const tables = new Map<string, Map<string, Row>>();
    for (const { entity, id, row } of rows) {
      let table = tables.get(entity);
      if (table === undefined) tables.set(entity, (table = new Map()));
      if (row !== null) table.set(id, row);
      this.#local.forget(entity, id);
    }
    // Without a replica there is nobody whose rows they could be.
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

  #settle(entities: Iterable<string>): void {
    const changes = new Map<string, TableChange | null>();
    for (const entity of new Set(entities)) changes.set(entity, this.#table(entity).settle());
    this.#announce(changes);
  }

  #table(entity: string): Table {
    let table = this.#tables.get(entity);
    if (table === undefined) {
      table = new Table((data) => this.#schema.normalised(entity, data));
      this.#tables.set(entity, table);
    }
    return table;
  }

  #announce(changes: ReadonlyMap<string, TableChange | null>): void {
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
    for (const listener of listeners) listener();
    if (touched.size > 0) this.#changed.emit(touched);
  }
}

/** No entity's name has a slash. */
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
