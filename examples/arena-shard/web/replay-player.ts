import { playReplay, readReplay, type ReplayPlayer } from "@pylonsync/functions/simulation";
import type { ArenaView } from "../game/match.ts";
import { MODES, modeOf } from "../game/rules.ts";
import arena from "../shards/arena.ts";
import { STEP_MS } from "./own-ship.ts";
import { sceneBetween, type Scene } from "./scene.ts";

/**
 * Plays a recorded round: the shard's code runs here with the recorded inputs. The pause before the
 * round, which the recording contains too, is skipped.
 */
export class RoundPlayer {
  readonly #replay: ReplayPlayer<ArenaView>;
  readonly #start: number;
  #before: ArenaView;
  #view: ArenaView;
  #sinceStepMs = 0;

  /** @throws TypeError for a file that is not a recording of the arena */
  constructor(recorded: unknown) {
    const { shard } = readReplay(recorded);
    if (shard.split(":")[0] !== "arena")
      throw new TypeError("This is not a recording of the arena.");
    this.#replay = playReplay(arena, recorded);
    const { from, to } = this.#replay;
    this.#start = Math.max(from, to - MODES[modeOf(shard)].roundSteps);
    this.#replay.seek(this.#start);
    this.#view = this.#copy();
    this.#before = this.#view;
  }

  /** The number of steps that were played, of all `steps` of the round. */
  get step(): number {
    return this.#replay.tick - this.#start;
  }

  get steps(): number {
    return this.#replay.to - this.#start;
  }

  /** Whether the states so far are those of the server; null before the end. */
  get isSame(): boolean | null {
    return this.step < this.steps ? null : this.#replay.verdict.isSame;
  }

  get view(): ArenaView {
    return this.#view;
  }

  /** Advances the round by a duration. */
  pass(elapsedMs: number): void {
    this.#sinceStepMs += elapsedMs;
    while (this.#sinceStepMs >= STEP_MS) {
      this.#sinceStepMs -= STEP_MS;
      if (!this.#replay.step()) {
        this.#sinceStepMs = 0;
        return;
      }
      this.#before = this.#view;
      this.#view = this.#copy();
    }
  }

  /** Seeks to a step of the round. */
  seek(step: number): void {
    this.#replay.seek(this.#start + Math.max(0, step - 1));
    this.#before = this.#copy();
    if (step > 0) this.#replay.step();
    this.#view = this.#copy();
    this.#sinceStepMs = 0;
  }

  get scene(): Scene {
    const share = this.step >= this.steps ? 1 : this.#sinceStepMs / STEP_MS;
    return sceneBetween({ from: this.#before, to: this.#view, share });
  }

  /** The shard modifies its state in place. */
  #copy(): ArenaView {
    return structuredClone(this.#replay.view());
  }
}
