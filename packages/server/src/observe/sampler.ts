import type { SamplerName } from "../config/samplers.ts";
import type { TraceParent } from "./trace-parent.ts";

/** Decides which traces are recorded. */
export interface Sampler {
  /** Whether no trace at all is selected now: then a busy server need not check most requests. */
  isSpent(): boolean;
  /** Whether this trace is recorded. @param parent null for a trace that starts here */
  takes(traceId: string, parent: TraceParent | null): boolean;
}

/** The rate of the default sampler if the environment does not set one. */
export const TRACES_PER_SECOND = 50;

/**
 * Returns one of OpenTelemetry's samplers, or ours, whose cost is bounded for any number of
 * requests.
 *
 * @param argument for samplers by ratio the share of traces from 0 to 1, for the one by rate the
 *   traces per second
 * @param now monotonic milliseconds
 */
export function samplerOf(
  name: SamplerName,
  argument: number | undefined,
  now: () => number,
): Sampler {
  if (name === "parentbased_ratelimited")
    return new RateSampler(argument ?? TRACES_PER_SECOND, now);
  const root = rootSampler(name.replace("parentbased_", ""), argument ?? 1);
  const isByParent = name.startsWith("parentbased_");
  return {
    isSpent: () => false,
    takes: (traceId, parent) => (isByParent ? parent?.isSampled : undefined) ?? root(traceId),
  };
}

function rootSampler(name: string, ratio: number): (traceId: string) => boolean {
  if (name === "always_on") return () => true;
  if (name === "always_off") return () => false;
  // Like the SDKs, so that all services in a trace make the same decision.
  const below = Math.floor(ratio * 0xffff_ffff);
  return (traceId) => {
    let folded = 0;
    for (let start = 0; start < 32; start += 8)
      folded = (folded ^ Number.parseInt(traceId.slice(start, start + 8), 16)) >>> 0;
    return folded < below;
  };
}

/**
 * Selects the first traces of each second. A trace that its caller does not record is not selected;
 * one that it does record counts like any other.
 */
class RateSampler implements Sampler {
  readonly #perSecond: number;
  readonly #now: () => number;
  #second = -1;
  #taken = 0;

  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  isSpent(): boolean {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken = 0;
    }
    return this.#taken >= this.#perSecond;
  }

  takes(_traceId: string, parent: TraceParent | null): boolean {
    if ((parent !== null && !parent.isSampled) || this.isSpent()) return false;
    this.#taken += 1;
    return true;
  }
}
