import { arrayOf, isNumber, isString, objectOf, oneOf, type Guarded } from "./guard.ts";

/** The result of a pushed change. `deduped`: the same `op_id` was applied before. */
export const isPushResult = /* @__PURE__ */ objectOf(
  { status: oneOf("applied", "deduped", "refused") },
  {
    op_id: isString,
    id: isString,
    error: objectOf({ code: isString, message: isString }, { hint: isString, field: isString }),
  },
);
/** See isPushResult. */
export type PushResult = Guarded<typeof isPushResult>;

/** The response of `POST /api/sync/push`. `applied` also counts deduped changes. */
export const isPushResponse = /* @__PURE__ */ objectOf(
  {
    applied: isNumber,
    deduped: isNumber,
    errors: arrayOf(isString),
    cursor: objectOf({ last_seq: isNumber }),
  },
  { results: arrayOf(isPushResult) },
);
/** See isPushResponse. */
export type PushResponse = Guarded<typeof isPushResponse>;
