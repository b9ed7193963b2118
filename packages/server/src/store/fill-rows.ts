import { PylonError } from "@pylonsync/protocol";
import { and, isNestedKind, literal, path, type Expr } from "@pylonsync/query";
import type { Manifest, ManifestField } from "@pylonsync/sdk";
import { sleep, type Platform } from "../platform.ts";
import { backfillField, computedBy, computeField, isFilledByCode } from "../schema/field-code.ts";
import { kindOf } from "../schema/field-kind.ts";
import { defaultsToUuid } from "../schema/generated-default.ts";
import { isSameValue } from "../schema/nested-value.ts";
import { parseStoredManifest, type TableName } from "../schema/stored-manifest.ts";
import { toTables } from "../schema/table-names.ts";
import { PylonStartError } from "../start-error.ts";
import { backfillId } from "./sql/begin-backfill.ts";
import type { Store, StoredRow, Transaction, Value } from "./store.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

const BACKFILLS = SYSTEM_TABLES.backfills;
/** The number of rows per transaction: small, so that nothing waits long for a transaction. */
const BATCH = { first: 500, min: 20, max: 1_000 };
/**
 * The target duration of a transaction, in milliseconds: on SQLite everything else in the process
 * waits for it, on Postgres only writers of the same rows.
 */
const BATCH_MS = { sqlite: 8, postgres: 40 };
/**
 * The time after which a waiting replica checks again whether the others are done, in milliseconds.
 */
const POLL_MS = 100;

/** A field that is filled in. */
interface Target {
  /** The id of its state in the database. */
  readonly id: string;
  readonly entity: string;
  readonly field: ManifestField;
  /** Whether all rows are computed, instead of only those without a value. */
  readonly isComputed: boolean;
}

/** A part of the work, done in one transaction. */
interface Batch {
  /** The total number of rows filled in so far. */
  readonly filled: number;
  /** Whether a row had another value before, which clients may have replicated. */
  readonly isKnown: boolean;
}

/** Options of filling in rows. */
export interface FillOptions {
  readonly platform: Platform;
  /**
   * Called after each batch, for example with `("Task.slug", 1500)`: the total number of rows so
   * far.
   */
  readonly onProgress?: ((field: string, filled: number) => void) | undefined;
  /** Decrypts a row of an entity for the code that computes a field. */
  readonly opened?: (entity: string, row: StoredRow) => StoredRow;
}

/**
 * Fills in new fields of existing rows: rows without a value get one from the field's `backfill`,
 * its default, or a UUID of their own; if a field is now computed differently, all rows get a new
 * value. The work is done in batches, one transaction each, concurrently with reads and writes;
 * after a crash it continues where it stopped. Of several replicas one works at a time, and the
 * others wait until everything is done.
 *
 * @param app the manifest that the store was migrated to
 * @returns whether rows were changed that clients may have replicated in their earlier state
 * @throws PylonStartError for a row for which no value can be created; the earlier rows keep theirs
 */
export async function fillRows(
  store: Store,
  app: Manifest,
  options: FillOptions,
): Promise<boolean> {
  let isAgain = false;
  for (const target of await targetsOf(store, app)) {
    const state = await BACKFILLS.get(store, target.id);
    const isOpen = state !== null && state.doneAt === null;
    if (!isOpen) {
      // An older version, which does not know the field, may have inserted rows in the meantime.
      const isLookedFor = isFilledByCode(target.field) || isRequiredComputed(target);
      if (!isLookedFor || !(await hasEmpty(store, target))) continue;
      isAgain ||= state !== null;
      const begun = { id: target.id, after: "", filled: 0, doneAt: null };
      await store.transact((tx) => BACKFILLS.put(tx, begun));
    }
    // Whether rows that were computed before a crash had other values is not known.
    const isResumed = target.isComputed && (state?.filled ?? 0) > 0;
    const isKnown = await fillAll(store, target, options);
    isAgain ||= isResumed || isKnown;
  }
  return isAgain;
}

/** In an optional field, null is a valid value. */
function isRequiredComputed({ field, isComputed }: Target): boolean {
  return isComputed && !field.optional;
}

async function targetsOf(store: Store, app: Manifest): Promise<Target[]> {
  const { names } = toTables(parseStoredManifest(await store.storedManifest()), app);
  return app.entities.flatMap(({ name: entity, fields }) => {
    const { table, columns }: TableName = names[entity] ?? { table: entity, columns: {} };
    return fields
      .filter(
        (field) =>
          defaultsToUuid(field) || isFilledByCode(field) || computedBy(field) !== undefined,
      )
      .map((field) => ({
        id: backfillId(table, columns[field.name] ?? field.name),
        entity,
        field,
        isComputed: computedBy(field) !== undefined,
      }));
  });
}

async function hasEmpty(reader: Pick<Store, "select">, target: Target): Promise<boolean> {
  const { entity, field } = target;
  return (await reader.select({ entity, where: isEmpty(field.name), limit: 1 })).length > 0;
}

async function fillAll(store: Store, target: Target, options: FillOptions): Promise<boolean> {
  const { platform, onProgress } = options;
  let isKnown = false;
  for (let size = BATCH.first; ;) {
    const started = platform.monotonic();
    const batch = await filling(target, () =>
      store.transact((tx) => fillNext(tx, target, options, size, store.dialect), {
        isolation: "latest",
      }),
    );
    size = nextSize(size, (platform.monotonic() - started) / BATCH_MS[store.dialect]);
    if (batch === "done") return isKnown;
    if (batch === "busy") {
      await sleep(platform, POLL_MS);
      continue;
    }
    isKnown ||= batch.isKnown;
    onProgress?.(`${target.entity}.${target.field.name}`, batch.filled);
    // Lets other work run that has arrived in the meantime.
    await new Promise<void>((resolve) => platform.soon(resolve));
  }
}

/** @param took the duration of a batch of `size` rows, as a fraction of the target duration */
function nextSize(size: number, took: number): number {
  const fitting = Math.round(size / Math.max(took, 0.1));
  return Math.min(Math.max(fitting, BATCH.min), BATCH.max);
}

/**
 * @param size the maximum number of rows
 * @returns `busy` while another replica has claimed the work, or while others are writing the
 *   remaining rows
 */
async function fillNext(
  tx: Transaction,
  target: Target,
  options: FillOptions,
  size: number,
  dialect: Store["dialect"],
): Promise<"done" | "busy" | Batch> {
  const { id, entity, field } = target;
  const [state] = await BACKFILLS.select(tx, {
    where: BACKFILLS.is("id", id),
    limit: 1,
    isClaim: true,
  });
  if (state === undefined) return "busy";
  if (state.doneAt !== null) return "done";
  if (target.isComputed) return computeNext(tx, target, { state, size, options, dialect });
  const rows = await tx.select({
    entity,
    where: and(isEmpty(field.name), isAfter(state.after)),
    limit: size,
    // Rows that are being written at the moment are checked again at the end.
    isClaim: true,
  });
  await fill(tx, target, rows, options);
  const filled = state.filled + rows.length;
  const isLast = rows.length < size;
  const after = isLast ? "" : (rows.at(-1)?.id ?? "");
  const isDone = isLast && !(await hasEmpty(tx, target));
  const doneAt = isDone ? options.platform.now() : null;
  if (isDone || after !== state.after) await BACKFILLS.update(tx, id, { after, filled, doneAt });
  return rows.length === 0 && !isDone ? "busy" : { filled, isKnown: false };
}

/** Computes the next rows, in order: a row that is being written at the moment is waited for. */
async function computeNext(
  tx: Transaction,
  target: Target,
  how: {
    readonly state: { readonly after: string; readonly filled: number };
    readonly size: number;
    readonly options: FillOptions;
    readonly dialect: Store["dialect"];
  },
): Promise<"busy" | Batch> {
  const { state, size, options, dialect } = how;
  const next = { entity: target.entity, where: isAfter(state.after), limit: size };
  const all = await tx.select(next);
  const held = dialect === "sqlite" ? all : await tx.select({ ...next, isClaim: true });
  const ids = new Set(held.map(({ id }) => id));
  const missing = all.findIndex(({ id }) => !ids.has(id));
  const last = missing === -1 ? all.at(-1) : all[missing - 1];
  const rows = last === undefined ? [] : held.filter(({ id }) => id <= last.id);
  const isDone = missing === -1 && all.length < size;
  const isKnown = await fill(tx, target, rows, options);
  const filled = state.filled + rows.length;
  const after = isDone ? "" : (last?.id ?? state.after);
  const doneAt = isDone ? options.platform.now() : null;
  if (isDone || rows.length > 0) await BACKFILLS.update(tx, target.id, { after, filled, doneAt });
  return rows.length === 0 && !isDone ? "busy" : { filled, isKnown };
}

/** @returns whether a row had another value before */
async function fill(
  tx: Transaction,
  { entity, field, isComputed }: Target,
  rows: readonly StoredRow[],
  { platform, opened = (_, row) => row }: FillOptions,
): Promise<boolean> {
  const { name } = field;
  const updates = rows
    .map((stored) => {
      const row = opened(entity, stored);
      const value = isComputed
        ? computedFor(entity, field, row)
        : valueFor(entity, field, row, platform);
      return { id: row.id, patch: { [name]: value }, isSame: isSameValue(row[name], value), row };
    })
    .filter(({ isSame }) => !isSame);
  const isKnown = updates.some(({ row }) => row[name] !== null && row[name] !== undefined);
  if (!isNestedKind(kindOf(field.type))) {
    if (updates.length > 0)
      await tx.updateMany(
        entity,
        updates.map(({ id, patch }) => ({ id, patch })),
      );
    return isKnown;
  }
  for (const { id, patch } of updates) await tx.update(entity, id, patch);
  return isKnown;
}

function valueFor(entity: string, field: ManifestField, row: StoredRow, platform: Platform): Value {
  const made = backfillField(field, row, { now: platform.now(), uuid: () => platform.uuid() });
  if (made === undefined) return platform.uuid();
  if (made.ok) return made.value;
  throw new PylonStartError(
    `${entity}.${field.name} of the row "${row.id}" can't be filled in: the value ` +
      `${made.reason}. Earlier rows are filled in. Return a value for it from .backfill(), ` +
      "and start again.",
  );
}

function computedFor(entity: string, field: ManifestField, row: StoredRow): Value {
  const made = computeField(field, row);
  if (made.ok) return made.value;
  throw new PylonStartError(
    `${entity}.${field.name} of the row "${row.id}" can't be computed: the value ${made.reason}. ` +
      "Return a value for it from .computed(), or make the field .optional(), and start again.",
  );
}

/**
 * @throws PylonStartError if the database rejects the values, for example because they are not
 *   unique
 */
async function filling<T>(
  { entity, field, isComputed }: Target,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PylonError) || error.code !== "UNIQUE_VIOLATION") throw error;
    const maker = isComputed ? ".computed()" : ".backfill()";
    throw new PylonStartError(
      `${entity}.${field.name} can't be filled in: ${maker} returned the same value for two ` +
        "rows, but the field is unique. Return a different value for each row, and start again.",
    );
  }
}

function isEmpty(name: string): Expr {
  return { kind: "compare", op: "==", left: path("data", name), right: literal(null) };
}

function isAfter(id: string): Expr {
  return { kind: "compare", op: ">", left: path("data", "id"), right: literal(id) };
}
