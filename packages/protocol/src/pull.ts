import * as v from "valibot";
import { ChangeEventSchema } from "./change.ts";
import { recordOf } from "./record.ts";

const KindsSchema = recordOf((value) => typeof value === "string");

/**
 * The kinds of the fields of the entities that the caller may read: `{Todo: {title: "string", due:
 * "datetime"}}`. A client normalises the values of its filters by it, as the server does.
 */
export const ReplicaSchemaSchema = recordOf((value) => v.is(KindsSchema, value));
/** See ReplicaSchemaSchema. */
export type ReplicaSchemaMessage = v.InferOutput<typeof ReplicaSchemaSchema>;

/**
 * Answer of `GET /api/sync/pull?since=&epoch=&limit=&page=`.
 *
 * `since=0` is a snapshot: one `insert` for each readable row. Without `limit` it comes in one
 * answer; with `limit` in pages: while `next_page` is there, ask again with `page=<next_page>`.
 * `since=N` is what happened after N; ask again from `cursor.last_seq` while `has_more`.
 *
 * The first answer of a snapshot has the `schema`; a server from before it leaves it out.
 *
 * `epoch` names the log that `last_seq` counts in; a cursor of another epoch is answered 410
 * RESYNC_REQUIRED.
 */
export const PullResponseSchema = v.object({
  changes: v.array(ChangeEventSchema),
  cursor: v.object({ last_seq: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
  has_more: v.boolean(),
  epoch: v.optional(v.string()),
  next_page: v.optional(v.string()),
  schema: v.optional(ReplicaSchemaSchema),
});
/** See PullResponseSchema. */
export type PullResponse = v.InferOutput<typeof PullResponseSchema>;
