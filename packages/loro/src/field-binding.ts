import type { CollabDocument } from "./collab-document.ts";
import { deltaOf, editBetween, endOf, mergeTexts, movedBy, type TextDelta } from "./text-edits.ts";

/** An element whose value is a text. */
export type TextElement = HTMLTextAreaElement | HTMLInputElement;

interface Selection {
  readonly start: number;
  readonly end: number;
  readonly direction: "forward" | "backward" | "none";
}

/**
 * Connects an element with the text of a field. What the user does is an edit of the text that the
 * element contained; a change of the text moves the selection, and is rendered by React.
 */
export class FieldBinding {
  readonly #field: string;
  readonly #listeners = new Set<() => void>();
  #element: TextElement | null = null;
  #attached = new AbortController();
  #document: CollabDocument | null = null;
  /** The text in the element, as far as it was handled. */
  #rendered = "";
  /** The text that is shown while an input method composes; null at other times. */
  #frozen: string | null = null;
  /** Where the selection must be after the next commit; null: where it is. */
  #selection: Selection | null = null;
  /** The element already contains the change that is being made. */
  #isOwnChange = false;
  /** The caret goes to what is undone. */
  #isUndoing = false;

  constructor(field: string) {
    this.#field = field;
  }

  attach(element: TextElement | null): void {
    const { signal } = (this.#attached = replaced(this.#attached));
    this.#element = element;
    const target: HTMLElement | null = element;
    // React has no event for undo by a menu or a gesture.
    target?.addEventListener("beforeinput", (event) => this.#onBeforeInput(event), { signal });
    target?.addEventListener("keydown", (event) => this.#onKey(event), { signal });
  }

  /** Returns the text to render. */
  read(document: CollabDocument): string {
    return this.#frozen ?? document.text(this.#field);
  }

  /** Follows the changes of a document. @returns an unsubscribe function */
  follow(document: CollabDocument, listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    this.#document = document;
    const stop = document.onDelta((field, delta) => {
      if (field === this.#field && this.#frozen === null && !this.#isOwnChange) this.#move(delta);
    });
    return () => {
      this.#listeners.delete(own);
      if (this.#document === document) this.#document = null;
      stop();
    };
  }

  /** The text was rendered. */
  rendered(value: string): void {
    if (this.#frozen !== null) return;
    this.#rendered = value;
    const selection = this.#selection;
    this.#selection = null;
    const element = this.#element;
    // Selecting moves the focus in some browsers.
    if (selection === null || element === null || !hasFocus(element)) return;
    element.setSelectionRange(selection.start, selection.end, selection.direction);
  }

  /** The user has changed the text in the element. */
  input(document: CollabDocument): void {
    const element = this.#element;
    if (element === null) return;
    if (this.#frozen !== null) {
      this.#frozen = element.value;
      for (const listener of [...this.#listeners]) listener();
    } else this.#apply(document, element);
  }

  /** An input method begins to compose: a change of the value would cancel it. */
  composing(): void {
    this.#frozen = this.#element?.value ?? null;
  }

  /** The input method is done. */
  composed(document: CollabDocument): void {
    this.#frozen = null;
    if (this.#element !== null) this.#apply(document, this.#element);
    for (const listener of [...this.#listeners]) listener();
  }

  #onBeforeInput(event: InputEvent): void {
    if (event.inputType === "historyUndo") this.#undo(event, false);
    else if (event.inputType === "historyRedo") this.#undo(event, true);
  }

  #onKey(event: KeyboardEvent): void {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "z") this.#undo(event, event.shiftKey);
    else if (key === "y" && !event.shiftKey) this.#undo(event, true);
  }

  /** The browser would restore its own texts, without the changes of others. */
  #undo(event: Event, isRedo: boolean): void {
    if (this.#frozen !== null) return;
    this.#isUndoing = true;
    if (this.#document?.undo(this.#field, isRedo) === true) event.preventDefault();
    this.#isUndoing = false;
  }

  #apply(document: CollabDocument, element: TextElement): void {
    const { value, selectionEnd } = element;
    const before = this.#rendered;
    const current = document.text(this.#field);
    this.#rendered = value;
    // The user has moved it.
    this.#selection = null;
    this.#isOwnChange = true;
    try {
      if (before === current) {
        const edit = editBetween(before, value, selectionEnd ?? value.length);
        if (edit !== null) document.edit(this.#field, edit);
        return;
      }
      // The text has changed since it was rendered.
      const merged = mergeTexts(before, value, current);
      document.setText(this.#field, merged);
      const change = editBetween(value, merged);
      if (change !== null) this.#move(deltaOf(change));
    } finally {
      this.#isOwnChange = false;
    }
  }

  #move(delta: TextDelta): void {
    const element = this.#element;
    if (element === null || !hasFocus(element)) return;
    const selection = this.#selection ?? selectionOf(element);
    if (selection === null) return;
    if (this.#isUndoing) {
      this.#selection = { start: endOf(delta), end: endOf(delta), direction: "none" };
      return;
    }
    const { start, end, direction } = selection;
    this.#selection = { start: movedBy(delta, start), end: movedBy(delta, end), direction };
  }
}

function replaced(controller: AbortController): AbortController {
  controller.abort();
  return new AbortController();
}

/** @returns null for an input whose type has no selection, such as `email` */
function selectionOf(element: TextElement): Selection | null {
  const { selectionStart: start, selectionEnd: end, selectionDirection } = element;
  if (start === null || end === null) return null;
  return { start, end, direction: selectionDirection ?? "none" };
}

function hasFocus(element: TextElement): boolean {
  const root = element.getRootNode();
  return "activeElement" in root && root.activeElement === element;
}
