/**
 * The relation of this replica to the backend of its rooms:
 *
 * - `new`: the backend has never known it
 * - `entering`: it takes its first lease, and sends its members to the backend
 * - `online`: the backend is called, and its channel is followed
 * - `lost`: the backend knew it; until it is back, the rooms continue here
 * - `returning`: it takes its lease again, and sends the changes made in the meantime
 * - `stopped`: final
 */
export type SharingState = "new" | "entering" | "online" | "lost" | "returning" | "stopped";

/** The possible next states of each state. */
export const SHARING_TRANSITIONS: Readonly<Record<SharingState, readonly SharingState[]>> = {
  new: ["entering", "stopped"],
  // Back to `new` if the backend has received nothing of this replica.
  entering: ["online", "lost", "new", "stopped"],
  online: ["lost", "stopped"],
  lost: ["returning", "stopped"],
  returning: ["online", "lost", "stopped"],
  stopped: [],
};

/** Holds the state, and rejects a transition that is not in the table. */
export class Sharing {
  #state: SharingState = "new";

  get state(): SharingState {
    return this.#state;
  }

  /**
   * Enters the next state.
   *
   * @throws Error if the table does not allow it
   */
  become(next: SharingState): void {
    if (!SHARING_TRANSITIONS[this.#state].includes(next))
      throw new Error(`The rooms can't become "${next}" while they are "${this.#state}".`);
    this.#state = next;
  }
}
