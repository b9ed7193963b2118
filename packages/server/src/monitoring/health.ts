import type { Platform } from "../platform.ts";
import { withTimeout } from "../util/time-limit.ts";

/** `up`: it works. Any other value says what is wrong; `read-only`: it works for reads. */
export type PartState = "up" | "read-only" | "down" | "lost" | "behind" | "full" | "stopping";

/** Something that the server needs, or benefits from. */
export interface Part {
  readonly name: string;
  /** Whether the server can't run without it: the others only degrade it. */
  readonly isNeeded: boolean;
  /** Returns the state; a rejection means `down`. */
  readonly check: () => PartState | Promise<PartState>;
  /**
   * Called when a state differs from the one before, initially `up`; for parts that are not
   * reported elsewhere.
   *
   * @param reason the error with which `check` was rejected
   */
  readonly onChange?: (state: PartState, reason?: unknown) => void;
}

/** The response of `/readyz`. */
export interface HealthReport {
  readonly status: "ready" | "degraded" | "unready";
  readonly parts: Readonly<Record<string, PartState>>;
}

/** The time limit of a part's check, and how long its result is cached, in milliseconds. */
const ANSWER_TIMEOUT_MS = 2_000;
const FRESH_MS = 1_000;

/**
 * The state of the parts: they are checked concurrently, with a time limit, and at most once a
 * second, so that probes can't overload them.
 */
export class Health {
  readonly #parts: readonly Part[];
  readonly #platform: Pick<Platform, "after">;
  readonly #last = new Map<Part, PartState>();
  #isStopping = false;
  #states: Promise<Readonly<Record<string, PartState>>> | null = null;

  constructor(parts: readonly Part[], platform: Pick<Platform, "after">) {
    this.#parts = parts;
    this.#platform = platform;
  }

  /** From now on the server is not ready. */
  stop(): void {
    this.#isStopping = true;
  }

  async report(): Promise<HealthReport> {
    // A stopping server responds immediately, without checking its parts.
    if (this.#isStopping) return { status: "unready", parts: { server: "stopping" } };
    this.#states ??= this.#checkParts();
    const states = await this.#states;
    const parts = { server: "up" as const, ...states };
    const isUsable = (state: PartState | undefined): boolean =>
      state === "up" || state === "read-only";
    if (this.#parts.some(({ name, isNeeded }) => isNeeded && !isUsable(states[name])))
      return { status: "unready", parts };
    return {
      status: Object.values(parts).every((state) => state === "up") ? "ready" : "degraded",
      parts,
    };
  }

  async #checkParts(): Promise<Readonly<Record<string, PartState>>> {
    const states = await Promise.all(
      this.#parts.map(async (part) => [part.name, await this.#stateOf(part)] as const),
    );
    this.#platform
      .after(FRESH_MS, () => {
        this.#states = null;
      })
      .unref();
    return Object.fromEntries(states);
  }

  async #stateOf(part: Part): Promise<PartState> {
    const { state, reason } = await checkPart(part, this.#platform);
    const last = this.#last.get(part) ?? "up";
    this.#last.set(part, state);
    if (state !== last) part.onChange?.(state, reason);
    return state;
  }
}

async function checkPart(
  { check }: Part,
  platform: Pick<Platform, "after">,
): Promise<{ readonly state: PartState; readonly reason?: unknown }> {
  const isLate = (): Error => new Error(`no response within ${ANSWER_TIMEOUT_MS} ms`);
  try {
    const state = await withTimeout(platform, async () => check(), ANSWER_TIMEOUT_MS, isLate);
    return { state };
  } catch (reason) {
    return { state: "down", reason };
  }
}
