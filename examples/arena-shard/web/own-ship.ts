import { predict, type Prediction } from "@pylonsync/sync/shards";
import { TICK_RATE } from "../game/rules.ts";
import { moveShip, type Move, type Ship } from "../game/ship.ts";

export const STEP_MS = 1000 / TICK_RATE;
/** After so long without a frame, what was missed is not made up for. */
const MAX_LATE_MS = 250;
/** In so long, about two thirds of a wrong prediction are made good. */
const SMOOTHING_MS = 90;
/** A ship that is so far off is put where it belongs at once. */
const MAX_SMOOTHED = 3000;

/**
 * The ship that is flown from here. It moves at once, by the same code as on the server; where the
 * server then says otherwise, it glides to the right place.
 */
export class OwnShip {
  readonly #prediction: Prediction<Ship, Move>;
  /** One step ago: what is shown lies between the two. */
  #before: Ship;
  /** How far what is shown lies beside the prediction. */
  #error = { x: 0, y: 0 };
  #sinceStepMs = 0;
  #corrected = 0;

  constructor(ship: Ship) {
    this.#prediction = predict({ state: ship, step: moveShip });
    this.#before = ship;
  }

  /** Moves that the server has not answered. */
  get pending(): number {
    return this.#prediction.pending;
  }

  /** How far off the last prediction was. */
  get corrected(): number {
    return this.#corrected;
  }

  /** Lets time pass. @param fly sends the move of a step, and returns it with its number */
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

  /** Takes what the server says. */
  reconcile(ship: Ship, ack: number | null): void {
    const predicted = this.#prediction.reconcile(ship, ack);
    const { state } = this.#prediction;
    const wrong = { x: predicted.x - state.x, y: predicted.y - state.y };
    this.#corrected = Math.hypot(wrong.x, wrong.y);
    // What is shown stays where it is, and from there it glides.
    this.#before = { ...this.#before, x: this.#before.x - wrong.x, y: this.#before.y - wrong.y };
    this.#error = { x: this.#error.x + wrong.x, y: this.#error.y + wrong.y };
    if (Math.hypot(this.#error.x, this.#error.y) > MAX_SMOOTHED) this.#error = { x: 0, y: 0 };
  }

  /** The ship as it is shown now. */
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
