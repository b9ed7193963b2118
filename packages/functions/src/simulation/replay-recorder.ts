import { CHECKPOINT_STEPS, StepEncoder } from "./replay.ts";
import { stateHash } from "./state-hash.ts";
import type { ShardEvent, Simulation } from "./simulation.ts";

/** A piece of a recording. */
export type RecordingPiece =
  | {
      readonly kind: "begin";
      readonly tick: number;
      /** JSON of the SavedSimulation from which the run continues. */
      readonly saved: string;
      readonly players: readonly string[];
    }
  | {
      readonly kind: "step";
      readonly tick: number;
      /** JSON of the tick and its events. */
      readonly text: string;
      /** The players who joined in it. */
      readonly joined: readonly string[];
    }
  | { readonly kind: "checkpoint"; readonly tick: number; readonly hash: string };

/** The limits of one recording; the next one begins where it ends. */
export interface RecordingLimits {
  readonly maxSteps: number;
  /** The maximum number of characters of the steps as JSON. */
  readonly maxChars: number;
}

/** Records a simulation as consecutive recordings, each of which can be played separately. */
export class ReplayRecorder {
  readonly #simulation: Simulation;
  readonly #limits: RecordingLimits;
  readonly #emit: (piece: RecordingPiece) => void;
  #encoder: StepEncoder | null = null;
  /** The events of the step that is about to be taken. */
  #next: RecordingPiece | null = null;
  #beganAt = 0;
  #checkedAt = 0;
  #chars = 0;

  /** @param emit called with each piece, in order */
  constructor(
    simulation: Simulation,
    limits: RecordingLimits,
    emit: (piece: RecordingPiece) => void,
  ) {
    this.#simulation = simulation;
    this.#limits = limits;
    this.#emit = emit;
  }

  /** Begins a recording. @throws TypeError for a state that can't be saved */
  begin(): void {
    this.#encoder = null;
    const { tick, players } = this.#simulation;
    const saved = this.#simulation.save();
    this.#emit({ kind: "begin", tick, saved, players: [...players.keys()] });
    this.#encoder = new StepEncoder(players.values());
    this.#beganAt = tick;
    this.#checkedAt = tick;
    this.#chars = 0;
  }

  /**
   * Encodes the events of the next step, before the simulation advances: handlers may put the
   * objects of an event into the state and modify them.
   *
   * @throws TypeError for an input that is not JSON data
   */
  stepping(events: readonly ShardEvent[]): void {
    this.#next = null;
    if (this.#encoder === null || events.length === 0) return;
    const tick = this.#simulation.tick + 1;
    const text = this.#encoder.encode(tick, events);
    if (text === null) return;
    this.#chars += text.length;
    const joined = events.flatMap((event) => (event.kind === "join" ? [event.player.id] : []));
    this.#next = { kind: "step", tick, text, joined };
  }

  /**
   * Records the step that was just taken.
   *
   * @throws TypeError for a state that can't be saved, which ends the recording
   */
  stepped(): void {
    if (this.#encoder === null) return;
    const { tick } = this.#simulation;
    if (this.#next !== null) this.#emit(this.#next);
    this.#next = null;
    const { maxSteps, maxChars } = this.#limits;
    if (tick - this.#beganAt >= maxSteps || this.#chars >= maxChars) {
      this.next();
    } else if (tick - this.#checkedAt >= CHECKPOINT_STEPS) this.#check();
  }

  /**
   * Ends the recording at the current step, and begins the next one there.
   *
   * @throws TypeError for a state that can't be saved
   */
  next(): void {
    if (this.#encoder === null) return;
    this.end();
    this.begin();
  }

  /** Ends the recording with a checkpoint. @throws TypeError for a state that can't be saved */
  end(): void {
    if (this.#encoder === null) return;
    if (this.#simulation.tick > this.#checkedAt) this.#check();
    this.#encoder = null;
  }

  #check(): void {
    const encoder = this.#encoder;
    this.#encoder = null;
    const { tick } = this.#simulation;
    this.#emit({ kind: "checkpoint", tick, hash: stateHash(this.#simulation.save()) });
    this.#checkedAt = tick;
    this.#encoder = encoder;
  }
}
