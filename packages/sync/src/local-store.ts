import type { ChangeEvent, ClientChange, ReplicaSchemaMessage, Row } from "@pylonsync/protocol";
import type { EntityShape } from "@pylonsync/query";
import { Emitter } from "./emitter.ts";
import { ReplicaSchema } from "./replica-schema.ts";

const NO_ROWS: ReadonlyMap<string, Row> = new Map();

/** Which row. */
export interface RowKey {
  readonly entity: string;
  readonly id: string;
}

/** Where a replica is in the server's log. */
export interface SyncCursor {
  readonly last_seq: number;
}

/**
 * The local replica: what the server has confirmed, and over it the writes that are still on their
 * way.
 *
 * A read sees both. The confirmed rows change only by the server's events; a pending write lies
 * over them until the server's own events hold it, or is taken away when it was refused, so a
 * rollback needs no undo.
 */
export class LocalStore {
  #confirmed = new Map<string, Map<string, Row>>();
  #pending: readonly ClientChange[] = [];
  /**
   * For each entity the rows that pending writes touch, as they appear; null for one that they
   * delete.
   */
  #overlay = new Map<string, Map<string, Row | null>>();
  readonly #versions = new Map<string, number>();
  readonly #changed = new Emitter<ReadonlySet<string>>();
  readonly #confirmedChanged = new Emitter<readonly RowKey[]>();
  #seq = 0;
  #schema = ReplicaSchema.UNKNOWN;

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

  /** A number that grows whenever the entity's rows may look different. */
  version(entity: string): number {
    return this.#versions.get(entity) ?? 0;
  }

  /** All rows of an entity as they appear now, in no order. */
  list(entity: string): Row[] {
    const overlay = this.#overlay.get(entity);
    const confirmed = this.#confirmed.get(entity) ?? NO_ROWS;
    if (overlay === undefined) return [...confirmed.values()];
    const rows: Row[] = [];
    for (const [id, row] of confirmed) if (!overlay.has(id)) rows.push(row);
    for (const row of overlay.values()) if (row !== null) rows.push(row);
    return rows;
  }

  get(entity: string, id: string): Row | null {
    const overlaid = this.#overlay.get(entity)?.get(id);
    return overlaid !== undefined ? overlaid : (this.#confirmed.get(entity)?.get(id) ?? null);
  }

  /**
   * Calls the listener after rows may have changed.
   *
   * @param entity only for changes of this entity; absent for all
   * @returns stops it
   */
  subscribe(listener: () => void): () => void;
  subscribe(entity: string, listener: () => void): () => void;
  subscribe(entityOrListener: string | (() => void), listener?: () => void): () => void {
    if (typeof entityOrListener === "function") return this.#changed.on(() => entityOrListener());
    return this.#changed.on((entities) => {
      if (entities.has(entityOrListener)) listener?.();
    });
  }

  /** Told which confirmed rows the server's events changed; not when all were replaced. */
  onConfirmed(listener: (keys: readonly RowKey[]) => void): () => void {
    return this.#confirmedChanged.on(listener);
  }

  /** The row without what is on its way. */
  confirmed({ entity, id }: RowKey): Row | null {
    return this.#confirmed.get(entity)?.get(id) ?? null;
  }

  /** All rows without what is on its way. */
  *allConfirmed(): Generator<RowKey & { readonly row: Row }> {
    for (const [entity, rows] of this.#confirmed)
      for (const [id, row] of rows) yield { entity, id, row };
  }

  /** Takes the server's events. Those before the cursor are old; several may share one number. */
  applyChanges(events: readonly ChangeEvent[]): void {
    const keys: RowKey[] = [];
    for (const event of events) {
      if (event.seq < this.#seq) continue;
      this.#seq = event.seq;
      this.#applyOne(event);
      keys.push({ entity: event.entity, id: event.row_id });
    }
    this.#settleRows(keys);
    if (keys.length > 0) this.#confirmedChanged.emit(keys);
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
    const touched = new Set([...this.#confirmed.keys(), ...events.map(({ entity }) => entity)]);
    for (const entity of this.#adopt(ReplicaSchema.of(schema))) touched.add(entity);
    this.#confirmed = new Map();
    for (const event of events) this.#applyOne(event);
    this.#seq = seq;
    this.#settle(touched);
  }

  /** Takes rows that were kept, with what was known of their fields. */
  restore(
    rows: readonly (RowKey & { readonly row: Row | null })[],
    seq: number,
    schema?: ReplicaSchemaMessage,
  ): void {
    this.replaceAll(
      rows.flatMap(({ entity, id, row }) =>
        row === null
          ? []
          : [{ seq, entity, row_id: id, kind: "insert" as const, data: row, timestamp: "" }],
      ),
      seq,
      schema,
    );
  }

  /** Lays these writes over the confirmed rows, in this order, in place of the ones before. */
  setPending(pending: readonly ClientChange[]): void {
    const before = this.#pending;
    this.#pending = pending;
    if (before.every((change, index) => change === pending[index]))
      this.#append(pending.slice(before.length));
    else this.#settle(new Set([...before, ...pending].map(({ entity }) => entity)));
  }

  /**
   * What is under the new writes stays as it is: a long queue is not laid anew for each of them.
   */
  #append(added: readonly ClientChange[]): void {
    for (const change of added) this.#layOver(change);
    this.#announce(new Set(added.map(({ entity }) => entity)));
  }

  /**
   * @returns the entities whose lists may look different: of new kinds, and with writes of theirs
   */
  #adopt(schema: ReplicaSchema): string[] {
    if (this.#schema.equals(schema)) return [];
    const known = [...Object.keys(this.#schema.message), ...Object.keys(schema.message)];
    this.#schema = schema;
    return [...known, ...this.#pending.map(({ entity }) => entity)];
  }

  #applyOne({ entity, row_id: id, kind, data }: ChangeEvent): void {
    let table = this.#confirmed.get(entity);
    if (table === undefined) {
      table = new Map();
      this.#confirmed.set(entity, table);
    }
    const known = table.get(id);
    if (kind === "delete") table.delete(id);
    else if (kind === "insert") table.set(id, { ...data, id });
    // A patch of a row that is not here is of a row that this client may not see any more.
    else if (known !== undefined) table.set(id, { ...known, ...data, id });
  }

  #settle(touched: ReadonlySet<string>): void {
    if (touched.size === 0) return;
    for (const entity of touched) this.#overlay.delete(entity);
    for (const change of this.#pending) {
      if (touched.has(change.entity)) this.#layOver(change);
    }
    this.#announce(touched);
  }

  /** As `#settle`, for some rows: a long queue is not laid anew for each event. */
  #settleRows(keys: readonly RowKey[]): void {
    const nameOf = (entity: string, id: string): string => `${entity}/${id}`;
    const names = new Set(keys.map(({ entity, id }) => nameOf(entity, id)));
    for (const { entity, id } of keys) this.#overlay.get(entity)?.delete(id);
    for (const change of this.#pending)
      if (names.has(nameOf(change.entity, change.row_id))) this.#layOver(change);
    this.#announce(new Set(keys.map(({ entity }) => entity)));
  }

  #announce(touched: ReadonlySet<string>): void {
    if (touched.size === 0) return;
    for (const entity of touched) this.#versions.set(entity, this.version(entity) + 1);
    this.#changed.emit(touched);
  }

  #layOver({ entity, row_id: id, kind, data }: ClientChange): void {
    const below = this.get(entity, id);
    const fields = this.#schema.normalised(entity, data ?? {});
    let overlay = this.#overlay.get(entity);
    if (overlay === undefined) {
      overlay = new Map();
      this.#overlay.set(entity, overlay);
    }
    if (kind === "delete") overlay.set(id, null);
    else if (kind === "insert") overlay.set(id, { ...below, ...fields, id });
    else if (below !== null) overlay.set(id, { ...below, ...fields, id });
  }
}
