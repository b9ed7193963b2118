import * as v from "valibot";
import { ChangeEventSchema } from "./change.ts";

/**
 * Answer of `GET /api/sync/pull?since=&epoch=&limit=&page=`.
 *
 * `since=0` is a snapshot: one `insert` for each readable row. Without `limit` it comes in one answer; with `limit` in pages:
 * while `next_page` is there, ask again with `page=<next_page>`. `since=N` is what happened after
 * N; ask again from
 * `cursor.last_seq` while `has_more`.
 *
 * `epoch` names the log that `last_seq` counts in; a cursor of another epoch is answered 410 RESYNC_REQUIRED.
 */
export const PullResponseSchema = v.object({
  changes: v.array(ChangeEventSchema),
  cursor: v.object({ last_seq: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
  has_more: v.boolean(),
  epoch: v.optional(v.string()),
  next_page: v.optional(v.string()),
});
export type PullResponse = v.InferOutput<typeof PullResponseSchema>;
