import type { ChangeEvent } from "@pylonsync/protocol";
import type { DataModel } from "../data/model.ts";
import type { ChangeRecord, StoredRow } from "../store/store.ts";
import { changedFields, deleteEvent, insertEvent, patchEvent } from "./wire.ts";

/** What is told of one row, encoded once for all who hear it. */
export class Told {
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

  /** The row, or its patch with the id, as it is in a commit. */
  get rowText(): string {
    this.#rowText ??= JSON.stringify({ ...this.event.data, id: this.event.row_id });
    return this.#rowText;
  }
}

/** What can be told of one change: the whole row, what changed of it, that it is gone. */
export class ToldChange {
  readonly record: ChangeRecord;
  readonly #visible: (row: StoredRow) => StoredRow;
  #insert: Told | undefined;
  #patch: Told | null | undefined;
  #delete: Told | undefined;

  constructor(record: ChangeRecord, model: DataModel) {
    this.record = record;
    this.#visible = model.entity(record.entity).visible;
  }

  /**
   * What takes a reader from what it saw before to what it sees after.
   *
   * @returns null when that is nothing new to it
   */
  transition(sawBefore: boolean, seesAfter: boolean): Told | null {
    const { seq, entity, rowId, before, after, at } = this.record;
    if (!seesAfter || after === null) {
      if (!sawBefore) return null;
      return (this.#delete ??= new Told(deleteEvent(seq, entity, rowId, at)));
    }
    if (!sawBefore || before === null)
      return (this.#insert ??= new Told(insertEvent(seq, entity, this.#visible(after), at)));
    if (this.#patch === undefined) {
      const event = patchEvent(this.record, this.#visible(after), changedFields(this.record));
      this.#patch = event === undefined ? null : new Told(event);
    }
    return this.#patch;
  }
}
