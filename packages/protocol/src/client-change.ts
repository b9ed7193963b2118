import * as v from "valibot";
import { recordOf } from "./record.ts";

const FieldsSchema = recordOf((_value): _value is unknown => true);

/**
 * A change requested by a client. `op_id` makes retries idempotent: the same id is applied once.
 *
 * The `data` of an update may contain relative operations: `{likes: {$increment: 1}}`, `{tags:
 * {$append: ["new"]}}`. With `if_unchanged` an update or a delete is rejected with `ROW_CHANGED`
 * unless the row's fields have these values; `ifUnchanged`, as in the other routes, is the same.
 */
export const ClientChangeSchema = v.object({
  entity: v.string(),
  row_id: v.string(),
  kind: v.picklist(["insert", "update", "delete"]),
  data: v.optional(FieldsSchema),
  op_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
  if_unchanged: v.optional(FieldsSchema),
  ifUnchanged: v.optional(FieldsSchema),
});
/** See ClientChangeSchema. */
export type ClientChange = v.InferOutput<typeof ClientChangeSchema>;
