import { UndoManager, type LoroDoc } from "loro-crdt";
import { textsIn } from "./containers.ts";

/** Edits that follow each other within this time, in milliseconds, are undone together. */
const MERGE_MS = 500;
/** The origin of the library's own changes when it undoes others. */
const UNDO_ORIGIN = "undo";

/** The edits of this page, by field, which it can undo: those of others stay. */
export class EditHistory {
  readonly #document: () => LoroDoc;
  readonly #managers = new Map<string, UndoManager>();

  constructor(document: () => LoroDoc) {
    this.#document = document;
  }

  /** Commits an edit of a field. The history must have begun before. */
  commit(field: string): void {
    this.#document().commit({ origin: originOf(field) });
  }

  /** Records the edits of a field from now on. */
  begin(field: string): UndoManager {
    const known = this.#managers.get(field);
    if (known !== undefined) return known;
    const document = this.#document();
    const others = [...textsIn(document).keys()].filter((other) => other !== field);
    const manager = new UndoManager(document, {
      mergeInterval: MERGE_MS,
      excludeOriginPrefixes: [UNDO_ORIGIN, ...others.map(originOf)],
    });
    this.#managers.set(field, manager);
    return manager;
  }

  undo(field: string): void {
    this.#managers.get(field)?.undo();
  }

  redo(field: string): void {
    this.#managers.get(field)?.redo();
  }

  /** The document is another one. */
  reset(): void {
    this.#managers.clear();
  }
}

/** The last character ends the name, because origins are excluded by their beginning. */
function originOf(field: string): string {
  return `pylon:${field}:`;
}
