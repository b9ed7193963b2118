import * as v from "valibot";
import { ClientChangeSchema } from "./client-change.ts";
import { MAX_PUSH_CHANGES } from "./limits.ts";

/**
 * The body of `POST /api/sync/push`.
 *
 * Changes are applied in order, each separately. A client that sets `results: true` gets one result
 * per change. Without it, the server stops at the first rejected change, because older clients
 * match results by position: later changes stay pending there.
 */
export const PushRequestSchema = v.object({
  changes: v.pipe(v.array(ClientChangeSchema), v.maxLength(MAX_PUSH_CHANGES)),
  client_id: v.optional(v.string()),
  results: v.optional(v.boolean()),
});
/** See PushRequestSchema. */
export type PushRequest = v.InferOutput<typeof PushRequestSchema>;
