import { isDashing } from "../game/ship.ts";
import type { Scene } from "./scene.ts";

/** An effect that is visible for a moment. */
export interface Spark {
  readonly kind: "trail" | "gem";
  readonly place: number;
  readonly x: number;
  readonly y: number;
  /** The share of its duration that has passed: 0 to 1. */
  readonly age: number;
}

const LIFE_MS = { trail: 260, gem: 420 } as const;
const MAX_SPARKS = 400;

/** The effects of ships: a trail while they dash, a ring where they took a gem. */
export class Sparks {
  #sparks: Spark[] = [];
  #gems = new Map<number, number>();

  /** Adds the effects of a scene, and advances the time. */
  pass({ ships }: Scene, elapsedMs: number): readonly Spark[] {
    this.#sparks = this.#sparks.flatMap((spark) => {
      const age = spark.age + elapsedMs / LIFE_MS[spark.kind];
      return age < 1 ? [{ ...spark, age }] : [];
    });
    for (const ship of ships) {
      const { place, x, y, gems } = ship;
      if (isDashing(ship)) this.#sparks.push({ kind: "trail", place, x, y, age: 0 });
      if (gems > (this.#gems.get(place) ?? gems))
        this.#sparks.push({ kind: "gem", place, x, y, age: 0 });
      this.#gems.set(place, gems);
    }
    this.#sparks = this.#sparks.slice(-MAX_SPARKS);
    return this.#sparks;
  }
}
