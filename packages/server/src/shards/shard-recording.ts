import { recordRulesOf } from "@pylonsync/functions";
import {
  ReplayRecorder,
  tickRateOf,
  type RecordingPiece,
  type ShardEvent,
  type Simulation,
} from "@pylonsync/functions/simulation";
import { MAX_REPLAY_BYTES } from "@pylonsync/protocol";

/** The steps per second by which a shard without a tick rate is measured. */
const COUNTED_RATE = 20;

/** Records a shard if its definition says so. A failed recording does not stop the shard. */
export class ShardRecording {
  readonly #simulation: Simulation;
  readonly #emit: (piece: RecordingPiece) => void;
  readonly #failed: (error: unknown) => void;
  #recorder: ReplayRecorder | null = null;

  /** @param failed called with the error when a recording can't continue */
  constructor(
    simulation: Simulation,
    emit: (piece: RecordingPiece) => void,
    failed: (error: unknown) => void,
  ) {
    this.#simulation = simulation;
    this.#emit = emit;
    this.#failed = failed;
  }

  /** Begins a recording with the options that the definition has now. */
  begin(): void {
    const { definition } = this.#simulation;
    const rules = recordRulesOf(definition.record);
    if (rules === null) return;
    const rate = tickRateOf(definition) || COUNTED_RATE;
    const limits = { maxSteps: rules.minutes * 60 * rate, maxChars: MAX_REPLAY_BYTES };
    this.#recorder = new ReplayRecorder(this.#simulation, limits, this.#emit);
    this.#do((recorder) => recorder.begin());
  }

  /** Encodes the events of the next step, whose handlers may modify them. */
  stepping(events: readonly ShardEvent[]): void {
    this.#do((recorder) => recorder.stepping(events));
  }

  /** Records the step that was just taken. */
  stepped(): void {
    this.#do((recorder) => recorder.stepped());
  }

  /** Ends the recording at the current step of the shard, and begins the next one. */
  next(): void {
    this.#do((recorder) => recorder.next());
  }

  /** Ends the recording at the current step of the shard. */
  end(): void {
    this.#do((recorder) => recorder.end());
    this.#recorder = null;
  }

  #do(work: (recorder: ReplayRecorder) => void): void {
    if (this.#recorder === null) return;
    try {
      work(this.#recorder);
    } catch (error) {
      this.#recorder = null;
      this.#failed(error);
    }
  }
}
