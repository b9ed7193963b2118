import type { ChangeEvent } from "@pylonsync/protocol";
import type { ChangeRecord, StoredRow } from "../store/store.ts";
import { changedFields, deleteEvent, insertEvent, patchEvent } from "./wire.ts";

/** The message about one row, encoded once for all recipients. */
export class RowMessage {
  readonly event: ChangeEvent;
  #text: string | undefined;
  #rowText: string | undefined;

  constructor(event: ChangeEvent) {
    this.event = event;
  }

  /** As a message of version 1. */
  get text(): string {
    this.#text ??= JSON.stringify(this.event);
    return this.#text;
  }

  /** The row, or its patch with the id, in the form of a commit. */
  get rowText(): string {
    this.#rowText ??= JSON.stringify({ ...this.event.data, id: this.event.row_id });
    return this.#rowText;
  }
}

/** Reduces a row to the fields that a reader may read. */
export type VisibleRow = (row: StoredRow) => StoredRow;

/** The possible messages about one change: the whole row, a patch, or the removal. */
export class ChangeMessages {
  readonly record: ChangeRecord;
  readonly #inserts = new Map<VisibleRow, RowMessage>();
  readonly #patches = new Map<VisibleRow, RowMessage | null>();
  #delete: RowMessage | undefined;

  constructor(record: ChangeRecord) {
    this.record = record;
  }

  /**
   * The message that takes a reader from the state before the change to the state after it.
   *
   * @param visible reduces the row to the fields that the reader may read
   * @returns null if nothing changes for the reader
   */
  transition(wasVisible: boolean, isVisible: boolean, visible: VisibleRow): RowMessage | null {
    const { seq, entity, rowId, before, after, at } = this.record;
    if (!isVisible || after === null) {
      if (!wasVisible) return null;
      return (this.#delete ??= new RowMessage(deleteEvent(seq, entity, rowId, at)));
    }
    if (!wasVisible || before === null)
      return cachedMessage(this.#inserts, visible, () => {
        return new RowMessage(insertEvent(seq, entity, visible(after), at));
      });
    return cachedMessage(this.#patches, visible, () => {
      const event = patchEvent(this.record, visible(after), changedFields(this.record));
      return event === undefined ? null : new RowMessage(event);
    });
  }
}

function cachedMessage<V>(map: Map<VisibleRow, V>, visible: VisibleRow, make: () => V): V {
  const known = map.get(visible);
  if (known !== undefined) return known;
  const made = make();
  map.set(visible, made);
  return made;
}
