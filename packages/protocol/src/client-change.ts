import * as v from "valibot";
import { recordOf } from "./record.ts";

const FieldsSchema = recordOf((_value): _value is unknown => true);

/**
 * Makes a change an upsert: the row with the same values of `by` is updated, with `update` or with
 * the fields of the row that may change; if there is none, the row is inserted.
 */
const UpsertSchema = v.strictObject({
  by: v.union([v.string(), v.array(v.string())]),
  /** The row; by default the `data` of the change. */
  data: v.optional(FieldsSchema),
  update: v.optional(FieldsSchema),
});

/**
 * A change requested by a client. `op_id` makes retries idempotent: the same id is applied once.
 *
 * The `data` of an update may contain relative operations: `{likes: {$increment: 1}}`, `{tags:
 * {$append: ["new"]}}`. With `if_unchanged` an update or a delete is rejected with `ROW_CHANGED`
 * unless the row's fields have these values; `ifUnchanged`, as in the other routes, is the same.
 *
 * With `upsert`, `kind` is how the client shows the change until the server has decided: `insert`
 * or `update`. Servers of an earlier version do just that.
 */
export const ClientChangeSchema = v.object({
  entity: v.string(),
  row_id: v.string(),
  kind: v.picklist(["insert", "update", "delete"]),
  data: v.optional(FieldsSchema),
  op_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
  if_unchanged: v.optional(FieldsSchema),
  ifUnchanged: v.optional(FieldsSchema),
  upsert: v.optional(UpsertSchema),
});
/** See ClientChangeSchema. */
export type ClientChange = v.InferOutput<typeof ClientChangeSchema>;
