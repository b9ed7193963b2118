import type { TraceParent } from "./trace-parent.ts";

/** Whether a trace is recorded. @param parent null for a trace that begins here */
export type Sampler = (traceId: string, parent: TraceParent | null) => boolean;

export const SAMPLERS = ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const;
export type SamplerName = (typeof SAMPLERS)[number];

/**
 * The samplers that OpenTelemetry names.
 *
 * @param ratio the share of traces, from 0 to 1, for those that take one
 */
export function samplerOf(name: SamplerName, ratio: number): Sampler {
  const root = rootSampler(name.replace("parentbased_", ""), ratio);
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
