import * as v from "valibot";
import { ClientChangeSchema } from "./client-change.ts";
import { MAX_PUSH_CHANGES } from "./limits.ts";

/**
 * The body of `POST /api/sync/push`.
 *
 * Changes are applied in order, each separately. A client that sets `results: true` gets one result
 * per change. Without it, the server stops at the first rejected change, because older clients
 * match results by position: later changes stay pending there. It also takes only the first of
 * more changes than a push may have, because older clients send all that are pending at once.
 */
export const PushRequestSchema = v.object({
  changes: v.pipe(v.array(ClientChangeSchema), v.maxLength(MAX_PUSH_CHANGES)),
  client_id: v.optional(v.string()),
  /**
   * The user who made the changes, null for an anonymous one: the push is refused if the request is
   * authenticated as another user. A cookie can change between a write and its push.
   */
  user_id: v.optional(v.nullable(v.string())),
  results: v.optional(v.boolean()),
});
/** See PushRequestSchema. */
export type PushRequest = v.InferOutput<typeof PushRequestSchema>;
