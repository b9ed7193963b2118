import type { TraceParent } from "./trace-parent.ts";

/** Whether a trace is recorded. @param parent null for a trace that begins here */
export type Sampler = (traceId: string, parent: TraceParent | null) => boolean;

export const SAMPLERS = ["parentbased_ratelimited", "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const;
export type SamplerName = (typeof SAMPLERS)[number];

/** What a sampler takes when the environment does not say it. */
export const TRACES_PER_SECOND = 100;

/**
 * The samplers that OpenTelemetry names, and one of ours whose cost is bounded however many requests come.
 *
 * @param argument the share of traces from 0 to 1 for those by ratio, traces in a second for the one by rate
 */
export function samplerOf(name: SamplerName, argument: number | undefined, now: () => number = () => performance.now()): Sampler {
  if (name === "parentbased_ratelimited") return rateLimited(argument ?? TRACES_PER_SECOND, now);
  const root = rootSampler(name.replace("parentbased_", ""), argument ?? 1);
  return name.startsWith("parentbased_") ? (traceId, parent) => parent?.isSampled ?? root(traceId, null) : root;
}

function rootSampler(name: string, ratio: number): Sampler {
  if (name === "always_on") return () => true;
  if (name === "always_off") return () => false;
  // As the SDKs decide it, so that all services on a trace's way agree about it.
  const below = Math.floor(ratio * 0xffff_ffff);
  return (traceId) => {
    let folded = 0;
    for (let start = 0; start < 32; start += 8) folded = (folded ^ Number.parseInt(traceId.slice(start, start + 8), 16)) >>> 0;
    return folded < below;
  };
}

/** Takes what comes first in each second. A trace that its caller does not record is passed over; one that it does counts like any other. */
function rateLimited(perSecond: number, now: () => number): Sampler {
  let second = -1;
  let taken = 0;
  return (_traceId, parent) => {
    if (parent !== null && !parent.isSampled) return false;
    const current = Math.floor(now() / 1000);
    if (current !== second) {
      second = current;
      taken = 0;
    }
    if (taken >= perSecond) return false;
    taken += 1;
    return true;
  };
}
