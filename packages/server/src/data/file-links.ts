import { PylonError } from "@pylonsync/protocol";
import type { Entity, FileField } from "../schema/schema.ts";
import type { StoredRow, Transaction, Value } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { Caller } from "../identity/identity.ts";
import { isFileId } from "./file-record.ts";
import { checkFileRules } from "./file-rules.ts";

const FILES = SYSTEM_TABLES.files;

/** A row before and after a write; null if it does not exist. */
export interface RowChange {
  readonly before: StoredRow | null;
  readonly after: StoredRow | null;
}

/** The caller on whose behalf files are linked. */
export interface LinkOptions {
  readonly caller: Caller;
  /** Whether files of other users may be linked. */
  readonly trusted: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Links and releases files; runs after the row is written. */
export type ApplyLinks = () => Promise<void>;

/**
 * Checks the files that a change adds to a row, before anything is written.
 *
 * @returns a function that links the new files to the row and releases the old ones, in the same
 *   transaction
 * @throws PylonError INVALID_DATA naming the field for a file that does not exist, is incomplete,
 *   belongs to another user, is in use elsewhere, or violates the field's rules
 */
export async function prepareFileLinks(
  tx: Transaction,
  entity: Entity,
  change: RowChange,
  options: LinkOptions,
): Promise<ApplyLinks> {
  const { before, after } = change;
  const changed = entity.fileFields.filter(
    ({ name }) => (before?.[name] ?? null) !== (after?.[name] ?? null),
  );
  const left = changed
    .map(({ name }) => before?.[name] ?? null)
    .filter((id) => typeof id === "string");
  const taken: { id: string; field: FileField }[] = [];
  for (const field of changed) {
    const id = after?.[field.name] ?? null;
    if (id === null) continue;
    if (taken.some((other) => other.id === id))
      throw refused(entity, field, "is also in another field of this row");
    taken.push({ id: await checkFile(tx, entity, field, id, left, options), field });
  }
  const rowId = (after ?? before)?.id ?? null;
  return async () => {
    for (const id of left) {
      if (!taken.some((file) => file.id === id))
        await unlinkFiles(tx, entity.name, rowId, id, options.now);
    }
    for (const { id, field } of taken) {
      await FILES.update(tx, id, {
        boundEntity: entity.name,
        boundField: field.name,
        linkedRow: rowId,
        orphanedAt: null,
      });
    }
  };
}

async function checkFile(
  tx: Transaction,
  entity: Entity,
  field: FileField,
  id: Value,
  left: readonly string[],
  { caller, trusted }: LinkOptions,
): Promise<string> {
  const file = isFileId(id) ? await FILES.get(tx, id) : null;
  // Another user's file is reported in the same way as a file that does not exist.
  if (file === null || (!trusted && (caller.userId === null || file.ownerId !== caller.userId)))
    throw refused(entity, field, "is not one of your files");
  if (file.state !== "ready") throw refused(entity, field, "has not been uploaded yet");
  // A file may move from one field of a row to another.
  if (file.linkedRow !== null && !left.includes(file.id))
    throw refused(entity, field, "already belongs to a row");
  try {
    checkFileRules(entity.name, field, file);
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    throw new PylonError("INVALID_DATA", error.message, {
      field: field.name,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
  return file.id;
}

/**
 * The file still belongs to its owner for a while, who may link it again; then the maintenance
 * deletes it.
 */
async function unlinkFiles(
  tx: Transaction,
  entity: string,
  rowId: string | null,
  id: string,
  now: number,
): Promise<void> {
  const file = await FILES.get(tx, id);
  if (file === null || file.boundEntity !== entity || file.linkedRow !== rowId) return;
  await FILES.update(tx, id, { linkedRow: null, orphanedAt: now });
}

function refused(entity: Entity, field: FileField, why: string): PylonError {
  return new PylonError("INVALID_DATA", `The file in ${entity.name}.${field.name} ${why}.`, {
    field: field.name,
    hint:
      "Upload a file with POST /api/files/upload and send its id; " +
      "each file can belong to only one row.",
  });
}
