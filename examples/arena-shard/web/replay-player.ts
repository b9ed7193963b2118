import { checksumOf, playRecorded, roundAt, type Recording } from "../game/recording.ts";
import { newRound, type Round } from "../game/round.ts";
import { STEP_MS } from "./own-ship.ts";
import { sceneBetween, type RoundView, type Scene } from "./scene.ts";

/** Plays a recorded round again: the game itself runs here, with the moves that were made then. */
export class ReplayPlayer {
  readonly #recording: Recording;
  #round: Round;
  #before: RoundView;
  #sinceStepMs = 0;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.#round = newRound(recording.seed);
    this.#before = this.#view();
  }

  get step(): number {
    return this.#round.step;
  }

  get steps(): number {
    return this.#recording.steps.length;
  }

  /** Whether the end is the very one of the server; null before the end. */
  get isSame(): boolean | null {
    if (this.step < this.steps) return null;
    return checksumOf(this.#round) === this.#recording.checksum;
  }

  get gems(): readonly (number | null)[] {
    return this.#round.ships.map((ship) => ship?.gems ?? null);
  }

  /** Lets so much time of the round pass. */
  pass(elapsedMs: number): void {
    this.#sinceStepMs += elapsedMs;
    while (this.#sinceStepMs >= STEP_MS) {
      this.#sinceStepMs -= STEP_MS;
      const before = this.#view();
      if (!playRecorded(this.#round, this.#recording)) {
        this.#sinceStepMs = 0;
        return;
      }
      this.#before = before;
    }
  }

  /** Goes to a step. There is no way back in a simulation: it is played again up to there. */
  seek(step: number): void {
    this.#round = roundAt(this.#recording, Math.max(0, step - 1));
    this.#before = this.#view();
    if (step > 0) playRecorded(this.#round, this.#recording);
    this.#sinceStepMs = 0;
  }

  get scene(): Scene {
    const share = this.step >= this.steps ? 1 : this.#sinceStepMs / STEP_MS;
    return sceneBetween({ from: this.#before, to: this.#view(), share });
  }

  /** A copy, because a round is changed in place. */
  #view(): RoundView {
    const { ships, gems } = this.#round;
    return {
      seed: this.#recording.seed,
      ships: ships.map((ship) => (ship === null ? null : { ...ship })),
      gems: gems.map((gem) => ({ ...gem })),
    };
  }
}
