import type { Platform } from "../platform.ts";
import { sha256 } from "../util/sha256.ts";

/** The number of hex digits of a random number: as many bits as it can hold. */
const DIGITS = 13;

/**
 * The random values of one run of a query. The same seed gives the same values in the same order,
 * so a repeated run behaves the same.
 */
export class RunChance {
  readonly #platform: Pick<Platform, "uuid">;
  #seed: string | undefined;
  #drawn = 0;

  /** @param seed undefined for an unpredictable seed */
  constructor(seed: string | undefined, platform: Pick<Platform, "uuid">) {
    this.#seed = seed;
    this.#platform = platform;
  }

  /** Returns a number of at least 0 and less than 1. */
  random(): number {
    return Number.parseInt(this.#draw().slice(0, DIGITS), 16) / 16 ** DIGITS;
  }

  /** Returns a UUID of version 4. */
  uuid(): string {
    const hex = this.#draw();
    const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `${variant}${hex.slice(17, 20)}`,
      hex.slice(20, 32),
    ].join("-");
  }

  #draw(): string {
    this.#seed ??= this.#platform.uuid();
    this.#drawn += 1;
    return sha256(`${this.#seed} ${this.#drawn}`);
  }
}
