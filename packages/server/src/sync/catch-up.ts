import type { ChangeEvent } from "@pylonsync/protocol";
import { and, literal, path, type Expr } from "@pylonsync/query";
import type { Caller } from "../identity/identity.ts";
import type { DataModel } from "../data/model.ts";
import type { ChangeRecord, Reader, StoredRow } from "../store/store.ts";
import type { Visibility } from "./visibility.ts";
import { changedFields, deleteEvent, insertEvent, patchEvent } from "./wire.ts";

/** The changes of one row, oldest first; at least one. */
interface History {
  readonly entity: string;
  readonly rowId: string;
  readonly records: ChangeRecord[];
  last: ChangeRecord;
}

/**
 * Sends a returning caller the rows that changed: each in its current state if the caller may read
 * it now, otherwise at most its removal. Past states are never sent: they may have been meant for
 * others, and the cursor is chosen by the caller.
 */
export class CatchUp {
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #visibility: Visibility;

  constructor(reader: Reader, model: DataModel, visibility: Visibility) {
    this.#reader = reader;
    this.#model = model;
    this.#visibility = visibility;
  }

  /**
   * One event at most for each row, in the order of their last changes.
   *
   * @param records changes after the caller's cursor, without a gap
   * @param isWhole whether the log has no later ones: each row is in the state after its last
   *   record. Otherwise rows are read from the store, and may be ahead of the records.
   */
  async events(
    records: readonly ChangeRecord[],
    caller: Caller,
    isWhole: boolean,
  ): Promise<ChangeEvent[]> {
    const histories = historiesOf(
      records.filter(({ entity }) => this.#model.schema.find(entity) !== undefined),
    );
    const current = isWhole ? null : await this.#readableNow(histories, caller);
    const events: ChangeEvent[] = [];
    for (const [key, history] of histories) {
      const row =
        current === null ? await this.#lastReadable(history, caller) : (current.get(key) ?? null);
      const event =
        row === null
          ? await this.#removal(history, caller)
          : await this.#shown(history, row, caller);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  async #lastReadable({ entity, last }: History, caller: Caller): Promise<StoredRow | null> {
    return (await this.#visibility.reads(entity, last.after, caller)) ? last.after : null;
  }

  /** The rows that the caller may read, as in the store, by the keys of their histories. */
  async #readableNow(
    histories: ReadonlyMap<string, History>,
    caller: Caller,
  ): Promise<Map<string, StoredRow>> {
    const ids = new Map<string, string[]>();
    for (const { entity, rowId } of histories.values())
      ids.set(entity, [...(ids.get(entity) ?? []), rowId]);
    const found = new Map<string, StoredRow>();
    for (const [entity, wanted] of ids) {
      const where = and(isOneOf(wanted), this.#visibility.readRule(entity, caller));
      for (const row of await this.#reader.select({ entity, where }))
        found.set(keyOf(entity, row.id), row);
    }
    return found;
  }

  /**
   * A row that the caller may read: a patch if it may have the row already, else the whole row.
   */
  async #shown(
    { entity, records, last }: History,
    row: StoredRow,
    caller: Caller,
  ): Promise<ChangeEvent | undefined> {
    const { visible } = this.#model.entityFor(entity, caller);
    const shown = visible(row);
    const wasThere = records.every(({ before }) => before !== null);
    if (!wasThere || !(await this.#visibility.reads(entity, records[0]?.before ?? null, caller)))
      return insertEvent(last.seq, entity, shown, last.at);
    return patchEvent(last, shown, new Set(records.flatMap(changedFields)));
  }

  /**
   * A row that the caller may not read, or that was deleted: sent if it could be read before.
   */
  async #removal(
    { entity, rowId, records, last }: History,
    caller: Caller,
  ): Promise<ChangeEvent | undefined> {
    for (const { before } of records)
      if (await this.#visibility.reads(entity, before, caller))
        return deleteEvent(last.seq, entity, rowId, last.at);
    return undefined;
  }
}

/** By row, in the order of the last change. */
function historiesOf(records: readonly ChangeRecord[]): Map<string, History> {
  const histories = new Map<string, History>();
  for (const record of records) {
    const { entity, rowId } = record;
    const key = keyOf(entity, rowId);
    const history = histories.get(key) ?? { entity, rowId, records: [], last: record };
    history.records.push(record);
    history.last = record;
    histories.delete(key);
    histories.set(key, history);
  }
  return histories;
}

/** Names of entities contain no space. */
function keyOf(entity: string, id: string): string {
  return `${entity} ${id}`;
}

function isOneOf(ids: readonly string[]): Expr {
  return {
    kind: "in",
    item: path("data", "id"),
    list: { kind: "list", items: ids.map((id) => literal(id)) },
  };
}
