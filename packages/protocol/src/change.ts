import { isCount, isString, isUnknown, mapOf, objectOf, oneOf, type Guarded } from "./guard.ts";

/** A row as JSON. `id` is always present; the other keys are the entity's fields. */
export type Row = { readonly id: string } & { readonly [field: string]: unknown };

/** Whether a value can be a row. */
export const isRow = (value: unknown): value is Row => isIdentified(value);
const isIdentified = objectOf({ id: isString });

const isChangeKind = oneOf("insert", "update", "delete");
/** The effect of a change on its row. */
export type ChangeKind = Guarded<typeof isChangeKind>;

/**
 * A committed change, as its reader may see it.
 *
 * - `insert`: `data` is the whole row. Also sent when an old row becomes readable.
 * - `update`: `data` is the patch.
 * - `delete`: no `data`. Also sent when a row stops being readable.
 *
 * `seq` orders all changes of one log; a client keeps the highest one as its cursor.
 */
export const isChangeEvent = /* @__PURE__ */ objectOf(
  {
    seq: (value): value is number => isCount(value) && value > 0,
    entity: isString,
    row_id: isString,
    kind: isChangeKind,
    timestamp: isString,
  },
  { data: mapOf(isUnknown) },
);
/** See isChangeEvent. */
export type ChangeEvent = Guarded<typeof isChangeEvent>;
