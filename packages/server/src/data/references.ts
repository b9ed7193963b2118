import { MAX_PAGE_BYTES, PylonError } from "@pylonsync/protocol";
import { literal, path, type Expr } from "@pylonsync/query";
import type { Entity, Schema } from "../schema/schema.ts";
import { refersTo, type Reference } from "../schema/references.ts";
import { isFull } from "../store/row-size.ts";
import type { Reader, StoredRow, Value } from "../store/store.ts";

/**
 * The number of rows read at a time, because the number of rows that refer to one row is unbounded.
 */
const PAGE = 500;

/**
 * Checks the references that a write adds to a row. It does not check whether the caller may read
 * the referenced row: policies decide who may set the field.
 *
 * @param before null for an insert
 * @throws PylonError REFERENCE_NOT_FOUND with the `field`
 */
export async function checkReferences(
  reader: Reader,
  entity: Entity,
  before: StoredRow | null,
  after: StoredRow,
): Promise<void> {
  for (const { field, target } of entity.references) {
    const id: Value = after[field] ?? null;
    if (typeof id !== "string" || id === before?.[field]) continue;
    if (target === entity.name && id === after.id) continue;
    if ((await reader.get(target, id)) !== null) continue;
    throw new PylonError(
      "REFERENCE_NOT_FOUND",
      `${entity.name}.${field} refers to a ${target} that does not exist.`,
      { field, hint: `Insert the ${target} first.` },
    );
  }
}

/** The condition for the rows with these ids. */
export function hasIdOf(rows: readonly StoredRow[]): Expr {
  const items = rows.map(({ id }) => literal(id));
  return { kind: "in", item: path("data", "id"), list: { kind: "list", items } };
}

/** How the rows that refer to a deleted row are written. */
export interface CascadeWrites {
  delete(entity: Entity, rows: readonly StoredRow[]): Promise<void>;
  setNull(entity: Entity, row: StoredRow, field: string): Promise<void>;
  /** Called after each page of rows, to yield to other work. */
  pause(): Promise<void>;
}

interface Deleted {
  readonly entity: Entity;
  readonly id: string;
}

/**
 * Applies the declared action to the rows that refer to a deleted row, and recursively to the rows
 * that refer to those. A deleted row refers to nothing, so a cycle ends. Restricting references are
 * checked at the end, because the referring row may have been deleted by another path.
 *
 * @throws PylonError REFERENCED
 */
export async function cascade(
  reader: Reader,
  schema: Schema,
  root: Deleted,
  writes: CascadeWrites,
): Promise<void> {
  const restricted: Deleted[] = [];
  const open: Deleted[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { entity, id } = next;
    if (entity.referrers.some(({ onDelete }) => onDelete === "restrict")) restricted.push(next);
    for (const reference of entity.referrers) {
      if (reference.onDelete === "restrict") continue;
      const own = schema.entity(reference.entity);
      for await (const rows of pagesOf(reader, reference, id, writes)) {
        if (reference.onDelete === "setNull") {
          for (const row of rows) await writes.setNull(own, row, reference.field);
          continue;
        }
        await writes.delete(own, rows);
        if (own.referrers.length > 0)
          open.push(...rows.map((row) => ({ entity: own, id: row.id })));
      }
    }
  }
  for (const deleted of restricted) await refuseReferenced(reader, deleted);
}

/**
 * The rows that refer to a row; each must have stopped referring to it when the next page is read.
 */
async function* pagesOf(
  reader: Reader,
  reference: Reference,
  id: string,
  { pause }: CascadeWrites,
): AsyncGenerator<readonly StoredRow[]> {
  for (;;) {
    const rows = await reader.select({
      entity: reference.entity,
      where: refersTo(reference, id),
      limit: PAGE,
      maxBytes: MAX_PAGE_BYTES,
    });
    if (rows.length > 0) yield rows;
    if (rows.length < PAGE && !isFull(rows, MAX_PAGE_BYTES)) return;
    await pause();
  }
}

async function refuseReferenced(reader: Reader, { entity, id }: Deleted): Promise<void> {
  for (const reference of entity.referrers) {
    if (reference.onDelete !== "restrict") continue;
    const [row] = await reader.select({
      entity: reference.entity,
      where: refersTo(reference, id),
      limit: 1,
    });
    if (row !== undefined) throw referenced(entity.name, reference);
  }
}

/** The error for a row that can't be deleted because another one refers to it. */
export function referenced(entity: string, reference: Reference): PylonError {
  return new PylonError(
    "REFERENCED",
    `This ${entity} is still referenced by ${reference.entity}.${reference.field}.`,
    { hint: `Delete the rows that refer to it first, or change the field's onDelete.` },
  );
}
