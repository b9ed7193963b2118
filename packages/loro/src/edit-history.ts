import type { LoroDoc, LoroText } from "loro-crdt";
import { textsIn } from "./containers.ts";
import { FieldHistory } from "./field-history.ts";
import type { TextEdit } from "./text-edits.ts";

/** The edits of this page, by field, which it can undo: those of others stay. */
export class EditHistory {
  readonly #document: () => LoroDoc;
  readonly #fields = new Map<string, FieldHistory>();

  constructor(document: () => LoroDoc) {
    this.#document = document;
  }

  /** Edits the text of a field. */
  edit(field: string, text: LoroText, edit: TextEdit): void {
    this.#of(field).edit(text, edit);
  }

  /** Makes another change of the text of a field. */
  change(field: string, work: () => void): void {
    this.#of(field).change(work);
  }

  undo(field: string, text: LoroText): void {
    this.#fields.get(field)?.undo(text);
  }

  redo(field: string, text: LoroText): void {
    this.#fields.get(field)?.redo(text);
  }

  /** The document is another one. */
  reset(): void {
    this.#fields.clear();
  }

  #of(field: string): FieldHistory {
    const known = this.#fields.get(field);
    if (known !== undefined) return known;
    const document = this.#document();
    const others = [...textsIn(document).keys()].filter((other) => other !== field);
    const history = new FieldHistory(document, field, others);
    this.#fields.set(field, history);
    return history;
  }
}
