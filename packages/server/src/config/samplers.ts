/** The allowed values of `OTEL_TRACES_SAMPLER`. */
export const SAMPLERS = [
  "parentbased_ratelimited",
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
/** One of those samplers. */
export type SamplerName = (typeof SAMPLERS)[number];
