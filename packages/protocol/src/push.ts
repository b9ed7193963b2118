import * as v from "valibot";
import { ClientChangeSchema } from "./change.ts";
import { MAX_PUSH_CHANGES } from "./limits.ts";

/**
 * Body of `POST /api/sync/push`.
 *
 * Changes run in order, each on its own. A client that sets `results: true` gets one result for
 * each change. Without it, the server stops at the first refused change, because an older client
 * matches results by position: the changes after it stay pending there.
 */
export const PushRequestSchema = v.object({
  changes: v.pipe(v.array(ClientChangeSchema), v.maxLength(MAX_PUSH_CHANGES)),
  client_id: v.optional(v.string()),
  results: v.optional(v.boolean()),
});
/** See PushRequestSchema. */
export type PushRequest = v.InferOutput<typeof PushRequestSchema>;

/** What became of one pushed change. `deduped`: the same `op_id` was applied before. */
export const PushResultSchema = v.object({
  op_id: v.optional(v.string()),
  status: v.picklist(["applied", "deduped", "refused"]),
  id: v.optional(v.string()),
  error: v.optional(
    v.object({
      code: v.string(),
      message: v.string(),
      hint: v.optional(v.string()),
      field: v.optional(v.string()),
    }),
  ),
});
/** See PushResultSchema. */
export type PushResult = v.InferOutput<typeof PushResultSchema>;

/** Answer of `POST /api/sync/push`. `applied` counts deduped changes too. */
export const PushResponseSchema = v.object({
  applied: v.number(),
  deduped: v.number(),
  errors: v.array(v.string()),
  cursor: v.object({ last_seq: v.number() }),
  results: v.optional(v.array(PushResultSchema)),
});
/** See PushResponseSchema. */
export type PushResponse = v.InferOutput<typeof PushResponseSchema>;
