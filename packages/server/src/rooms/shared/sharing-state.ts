/**
 * How this replica stands to the backend of its rooms:
 *
 * - `new`: the backend has never had it
 * - `entering`: it takes its first lease, and tells the backend what it has
 * - `online`: the backend is asked, and its channel is heard
 * - `lost`: the backend had it; until it is back, the rooms go on here
 * - `returning`: it takes its lease again, and tells what changed meanwhile
 * - `stopped`: for good
 */
export type SharingState = "new" | "entering" | "online" | "lost" | "returning" | "stopped";

/** What each state may become. */
export const SHARING_TRANSITIONS: Readonly<Record<SharingState, readonly SharingState[]>> = {
  new: ["entering", "stopped"],
  // Back to `new` when the backend has heard nothing of this replica.
  entering: ["online", "lost", "new", "stopped"],
  online: ["lost", "stopped"],
  lost: ["returning", "stopped"],
  returning: ["online", "lost", "stopped"],
  stopped: [],
};

/** Holds the state, and refuses a transition that is not in the table. */
export class Sharing {
  #state: SharingState = "new";

  get state(): SharingState {
    return this.#state;
  }

  /**
   * Enters the next state.
   *
   * @throws Error when the table does not allow it
   */
  become(next: SharingState): void {
    if (!SHARING_TRANSITIONS[this.#state].includes(next))
      throw new Error(`The rooms can't become "${next}" while they are "${this.#state}".`);
    this.#state = next;
  }
}
