import { parseRoute } from "./route.ts";

/** The changes of the open row that are not saved. The page asks before they are dropped. */
export class UnsavedEdits {
  #hasEdits = false;
  readonly #ask: () => boolean;

  /** @param ask asks whether to drop them */
  constructor(ask: () => boolean) {
    this.#ask = ask;
  }

  get hasEdits(): boolean {
    return this.#hasEdits;
  }

  /** Compared by identity in effects, so it is always the same. */
  readonly set = (hasEdits: boolean): void => {
    this.#hasEdits = hasEdits;
  };

  /** Asks whether to drop the changes, if there are any. @returns whether there are none now */
  drop(): boolean {
    if (this.#hasEdits && !this.#ask()) return false;
    this.#hasEdits = false;
    return true;
  }

  /**
   * Whether the page may go from one place to another, such as by "Back" or a link. The changes
   * stay if the open row does.
   */
  mayGo(from: string, to: string): boolean {
    return openRow(from) === openRow(to) || this.drop();
  }
}

/** The changes of this page: it has one open row at most. */
export const UNSAVED = new UnsavedEdits(() => confirm("Discard the changes of this row?"));

/** The row that an address opens, as text. */
function openRow(hash: string): string {
  const route = parseRoute(hash);
  return route.section === "data" ? JSON.stringify([route.entity, route.query.get("row")]) : "";
}
