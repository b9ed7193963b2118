import { isChangeEvent } from "./change.ts";
import { arrayOf, isBoolean, isCount, isString, mapOf, objectOf, type Guarded } from "./guard.ts";

/**
 * The field types of the entities that the caller may read: `{Todo: {title: "string", due:
 * "datetime"}}`. Clients use it to normalize filter values like the server.
 */
export const isReplicaSchema = /* @__PURE__ */ mapOf(mapOf(isString));
/** See isReplicaSchema. */
export type ReplicaSchemaMessage = Guarded<typeof isReplicaSchema>;

/**
 * The response of `GET /api/sync/pull?since=&epoch=&limit=&page=`.
 *
 * `since=0` is a snapshot: one `insert` for each readable row. Without `limit` it comes in one
 * answer; with `limit` in pages: while `next_page` is there, ask again with `page=<next_page>`.
 * `since=N` is what happened after N; ask again from `cursor.last_seq` while `has_more`.
 *
 * The first response of a snapshot contains the `schema`; older servers omit it.
 *
 * `epoch` names the log that `last_seq` counts in; a cursor of another epoch is answered 410
 * RESYNC_REQUIRED.
 */
export const isPullResponse = /* @__PURE__ */ objectOf(
  {
    changes: arrayOf(isChangeEvent),
    cursor: objectOf({ last_seq: isCount }),
    has_more: isBoolean,
  },
  { epoch: isString, next_page: isString, schema: isReplicaSchema },
);
/** See isPullResponse. */
export type PullResponse = Guarded<typeof isPullResponse>;
