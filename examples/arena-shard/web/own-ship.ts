import { predict, type Prediction } from "@pylonsync/sync/shards";
import { TICK_RATE } from "../game/rules.ts";
import { moveShip, type Move, type Ship } from "../game/ship.ts";

export const STEP_MS = 1000 / TICK_RATE;
/** The maximum time without a frame that is caught up on. */
const MAX_LATE_MS = 250;
/** The time in which about two thirds of a wrong prediction are corrected. */
const SMOOTHING_MS = 90;
/** A ship with a larger error jumps to its correct position immediately. */
const MAX_SMOOTHED = 3000;

/**
 * The ship of this player. It moves immediately, with the same code as on the server; if the server
 * differs, it glides to the correct position.
 */
export class OwnShip {
  readonly #prediction: Prediction<Ship, Move>;
  /** The state one step ago: the shown ship is between the two. */
  #before: Ship;
  /** The offset of the shown ship from the prediction. */
  #error = { x: 0, y: 0 };
  #sinceStepMs = 0;
  #corrected = 0;

  constructor(ship: Ship) {
    this.#prediction = predict({ state: ship, step: moveShip });
    this.#before = ship;
  }

  /** The number of moves that the server has not acknowledged. */
  get pending(): number {
    return this.#prediction.pending;
  }

  /** The error of the last prediction. */
  get corrected(): number {
    return this.#corrected;
  }

  /** Advances the time. @param fly sends the move of a step, and returns it with its number */
  pass(elapsedMs: number, fly: () => { readonly seq: number; readonly move: Move }): void {
    const fade = Math.exp(-elapsedMs / SMOOTHING_MS);
    this.#error = { x: this.#error.x * fade, y: this.#error.y * fade };
    this.#sinceStepMs = Math.min(MAX_LATE_MS, this.#sinceStepMs + elapsedMs);
    while (this.#sinceStepMs >= STEP_MS) {
      this.#sinceStepMs -= STEP_MS;
      const { seq, move } = fly();
      this.#before = this.#prediction.state;
      this.#prediction.apply(seq, move);
    }
  }

  /** Applies the state of the server. */
  reconcile(ship: Ship, ack: number | null): void {
    const predicted = this.#prediction.reconcile(ship, ack);
    const { state } = this.#prediction;
    const wrong = { x: predicted.x - state.x, y: predicted.y - state.y };
    this.#corrected = Math.hypot(wrong.x, wrong.y);
    // The shown ship stays where it is, and glides from there.
    this.#before = { ...this.#before, x: this.#before.x - wrong.x, y: this.#before.y - wrong.y };
    this.#error = { x: this.#error.x + wrong.x, y: this.#error.y + wrong.y };
    if (Math.hypot(this.#error.x, this.#error.y) > MAX_SMOOTHED) this.#error = { x: 0, y: 0 };
  }

  /** The ship as currently shown. */
  get shown(): Ship {
    const { state } = this.#prediction;
    const share = this.#sinceStepMs / STEP_MS;
    return {
      ...state,
      x: this.#before.x + (state.x - this.#before.x) * share + this.#error.x,
      y: this.#before.y + (state.y - this.#before.y) * share + this.#error.y,
    };
  }
}
