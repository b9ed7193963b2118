import type { SamplerName } from "../config/samplers.ts";
import type { TraceParent } from "./trace-parent.ts";

/** Decides which traces are recorded. */
export interface Sampler {
  /**
   * Whether no trace is taken now, whatever it is: so a busy server need not even look at most
   * requests.
   */
  isSpent(): boolean;
  /** Whether this trace is recorded. @param parent null for a trace that begins here */
  takes(traceId: string, parent: TraceParent | null): boolean;
}

/** What a sampler takes when the environment does not say it. */
export const TRACES_PER_SECOND = 50;

/**
 * The samplers that OpenTelemetry names, and one of ours whose cost is bounded however many
 * requests come.
 *
 * @param argument the share of traces from 0 to 1 for those by ratio, traces in a second for the
 *   one by rate
 * @param now milliseconds that never go back
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
  // As the SDKs decide it, so that all services on a trace's way agree about it.
  const below = Math.floor(ratio * 0xffff_ffff);
  return (traceId) => {
    let folded = 0;
    for (let start = 0; start < 32; start += 8)
      folded = (folded ^ Number.parseInt(traceId.slice(start, start + 8), 16)) >>> 0;
    return folded < below;
  };
}

/**
 * Takes what comes first in each second. A trace that its caller does not record is passed over;
 * one that it does counts like any other.
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
