import * as v from "valibot";
import { recordOf } from "./record.ts";

/** One row as JSON. `id` is always there; the other keys are the entity's fields. */
export type Row = { readonly id: string } & { readonly [field: string]: unknown };

/** What a change does to its row. */
export const ChangeKindSchema = v.picklist(["insert", "update", "delete"]);
/** See ChangeKindSchema. */
export type ChangeKind = v.InferOutput<typeof ChangeKindSchema>;

const FieldsSchema = recordOf((_value): _value is unknown => true);

/**
 * A committed change, as its reader may see it.
 *
 * - `insert`: `data` is the whole row. Also sent when an old row becomes readable.
 * - `update`: `data` is the patch.
 * - `delete`: no `data`. Also sent when a row stops being readable.
 *
 * `seq` orders all changes of one log; a client keeps the highest one as its cursor.
 */
export const ChangeEventSchema = v.object({
  seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  entity: v.string(),
  row_id: v.string(),
  kind: ChangeKindSchema,
  data: v.optional(FieldsSchema),
  timestamp: v.string(),
});
/** See ChangeEventSchema. */
export type ChangeEvent = v.InferOutput<typeof ChangeEventSchema>;

/**
 * A change that a client wants to make. `op_id` makes a retry safe: the same id is applied once.
 */
export const ClientChangeSchema = v.object({
  entity: v.string(),
  row_id: v.string(),
  kind: ChangeKindSchema,
  data: v.optional(FieldsSchema),
  op_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
});
/** See ClientChangeSchema. */
export type ClientChange = v.InferOutput<typeof ClientChangeSchema>;
