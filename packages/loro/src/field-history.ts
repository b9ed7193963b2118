import { insertText } from "@pylonsync/protocol";
import { UndoManager, type Cursor, type LoroDoc, type LoroText } from "loro-crdt";
import { applyEdit, editBetween, type TextEdit } from "./text-edits.ts";

/** Edits that follow each other within this time, in milliseconds, are undone together. */
const MERGE_MS = 500;
/** Longer edits are undone apart from others, so that none becomes long by following others. */
const MAX_MERGED = 1_000;
/** The origin of the library's own changes when it undoes others. */
const UNDO_ORIGIN = "undo";
/** The origin of changes that the library does not undo. */
const LONG_ORIGIN = "pylon-long:";
/**
 * The length from which a part is restored in pieces, in characters. The time for a merge of one
 * operation grows with the square of its length: about 50 ms for this one.
 */
const LONG_PART = 50_000;

/** A long part of the text that can be inserted, again or for the first time. */
interface Insertion {
  readonly step: number;
  readonly text: string;
  /** Whether the library records the insertion, and can remove the part again. */
  readonly isRecorded: boolean;
  /** Where the part was: a position that moves with the text, and the one of that time. */
  readonly at: Cursor | undefined;
  readonly position: number;
}

/** A long part of the text that can be removed again. */
interface Removal {
  readonly step: number;
  readonly first: Cursor | undefined;
  readonly last: Cursor | undefined;
}

/**
 * The edits of a field that can be undone and repeated.
 *
 * The library would insert a long part again as one operation, whose merge takes minutes in the
 * server and in the pages of others. Such parts are stored here, and inserted in pieces. Each edit
 * is a step with a number: the library and this class undo those with the highest number, and
 * repeat those with the lowest. Earlier edits within a part that was restored in this way can't be
 * undone, because its characters are other ones for the library.
 */
export class FieldHistory {
  readonly #document: LoroDoc;
  readonly #origin: string;
  readonly #manager: UndoManager;
  readonly #undone: (Insertion | Removal)[] = [];
  readonly #removed: Insertion[] = [];
  #lastStep = 0;
  /** The step that is made, undone or repeated. */
  #step = 0;

  /** @param others the other fields of the document, whose edits are not undone */
  constructor(document: LoroDoc, field: string, others: readonly string[]) {
    this.#document = document;
    this.#origin = originOf(field);
    this.#manager = new UndoManager(document, {
      mergeInterval: MERGE_MS,
      excludeOriginPrefixes: [UNDO_ORIGIN, LONG_ORIGIN, ...others.map(originOf)],
      onPush: () => ({ value: this.#step, cursors: [] }),
    });
  }

  /** Edits the text. */
  edit(text: LoroText, { start, removed, inserted }: TextEdit): void {
    const size = removed + inserted.length;
    if (size <= MAX_MERGED) return this.change(() => applyEdit(text, { start, removed, inserted }));
    this.#begin();
    // It is not undone together with what was typed before.
    this.#manager.setMergeInterval(0);
    if (Math.max(removed, inserted.length) <= LONG_PART) {
      applyEdit(text, { start, removed, inserted });
      this.#commit();
    } else {
      this.#manager.clearRedo();
      if (removed > 0) this.#remove(text, start, removed);
      if (inserted !== "") insertText(text, start, inserted);
      this.#commit();
    }
    this.#manager.setMergeInterval(MERGE_MS);
  }

  /** Makes another change of the text. */
  change(work: () => void): void {
    this.#begin();
    work();
    this.#commit();
  }

  /** Undoes the last edit that still has an effect. */
  undo(text: LoroText): void {
    for (let isDone = false; !isDone;) {
      const step = Math.max(this.#undoStep(), this.#removed.at(-1)?.step ?? 0);
      if (step === 0) return;
      this.#step = step;
      while (this.#undoStep() === step) isDone = this.#undoRecorded(text) || isDone;
      while (this.#removed.at(-1)?.step === step) isDone = this.#restore(text) || isDone;
    }
  }

  /** Repeats the last edit that was undone. */
  redo(text: LoroText): void {
    for (let isDone = false; !isDone;) {
      const step = Math.min(this.#redoStep(), this.#undone.at(-1)?.step ?? Infinity);
      if (step === Infinity) return;
      this.#step = step;
      while (this.#undone.at(-1)?.step === step) isDone = this.#repeat(text) || isDone;
      while (this.#redoStep() === step) isDone = this.#manager.redo() || isDone;
    }
  }

  #begin(): void {
    this.#lastStep += 1;
    this.#step = this.#lastStep;
    this.#undone.length = 0;
  }

  #commit(origin = this.#origin): void {
    this.#document.commit({ origin });
  }

  /** The number of the step that the library undoes next; 0 if there is none. */
  #undoStep(): number {
    return this.#manager.canUndo() ? Number(this.#manager.topUndoValue()) : 0;
  }

  #redoStep(): number {
    return this.#manager.canRedo() ? Number(this.#manager.topRedoValue()) : Infinity;
  }

  /** @returns whether it had an effect */
  #undoRecorded(text: LoroText): boolean {
    const before = text.toString();
    const isDone = this.#manager.undo();
    if (before.length - text.length <= LONG_PART) return isDone;
    const edit = editBetween(before, text.toString());
    if (edit === null) return isDone;
    // The library can't forget a single step that it would repeat: later ones are forgotten too.
    this.#manager.clearRedo();
    this.#undone.length = 0;
    const part = before.slice(edit.start, edit.start + edit.removed);
    this.#undone.push(this.#insertion(text, edit.start, part, true));
    return isDone;
  }

  /** Removes a long part. */
  #remove(text: LoroText, start: number, length: number): void {
    const part = text.toString().slice(start, start + length);
    text.delete(start, length);
    this.#commit(LONG_ORIGIN);
    this.#removed.push(this.#insertion(text, start, part, false));
  }

  /** Inserts the long part that was removed last. */
  #restore(text: LoroText): boolean {
    const removed = this.#removed.pop();
    if (removed === undefined) return false;
    const start = this.#insert(text, removed);
    const last = text.getCursor(start + removed.text.length - 1);
    this.#undone.push({ step: this.#step, first: text.getCursor(start), last });
    return true;
  }

  #repeat(text: LoroText): boolean {
    const undone = this.#undone.pop();
    if (undone === undefined) return false;
    if ("text" in undone) {
      this.#insert(text, undone);
      return true;
    }
    const start = this.#position(undone.first) ?? 0;
    const end = Math.min(text.length, (this.#position(undone.last) ?? -1) + 1);
    if (end <= start) return false;
    this.#remove(text, start, end - start);
    return true;
  }

  /** @returns where it was inserted */
  #insert(text: LoroText, { at, position, text: part, isRecorded }: Insertion): number {
    const start = Math.min(text.length, this.#position(at) ?? position);
    insertText(text, start, part);
    this.#commit(isRecorded ? this.#origin : LONG_ORIGIN);
    return start;
  }

  #insertion(text: LoroText, position: number, part: string, isRecorded: boolean): Insertion {
    return { step: this.#step, text: part, isRecorded, at: text.getCursor(position), position };
  }

  /** @returns undefined if the history that the position depends on was dropped */
  #position(cursor: Cursor | undefined): number | undefined {
    try {
      return cursor && this.#document.getCursorPos(cursor)?.offset;
    } catch {
      return undefined;
    }
  }
}

/** The last character ends the name, because origins are excluded by their beginning. */
function originOf(field: string): string {
  return `pylon:${field}:`;
}
