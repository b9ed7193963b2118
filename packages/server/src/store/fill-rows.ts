import { PylonError } from "@pylonsync/protocol";
import { and, isScalarKind, literal, path, type Expr } from "@pylonsync/query";
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
/** Rows of a transaction: so few that what waits for it does not wait long. */
const BATCH = { first: 500, min: 20, max: 1_000 };
/**
 * How long a transaction is to take, in milliseconds: on SQLite all else that its process does
 * waits for it, on Postgres only who writes the same rows.
 */
const BATCH_MS = { sqlite: 8, postgres: 40 };
/** How long a replica waits before it looks again whether others are done, in milliseconds. */
const POLL_MS = 100;

/** A field whose rows get a value. */
interface Target {
  /** Names its state in the database. */
  readonly id: string;
  readonly entity: string;
  readonly field: ManifestField;
  /** All rows are computed, and not those alone that have no value. */
  readonly isComputed: boolean;
}

/** A part of the work, done in one transaction. */
interface Batch {
  /** Rows of the whole work that are done by now. */
  readonly filled: number;
  /** A row had another value, which clients may hold. */
  readonly isKnown: boolean;
}

/** How rows are filled in. */
export interface FillOptions {
  readonly platform: Platform;
  /** Told after each batch, such as `("Task.slug", 1500)`: so many rows by now. */
  readonly onProgress?: ((field: string, filled: number) => void) | undefined;
}

/**
 * Gives a value to rows that have none of a new field: by its `backfill`, its default, or a UUID of
 * their own; and to all rows of a field that is computed in another way now. It goes in batches, a
 * transaction each, beside all reads and writes; after a crash it goes on where it was. Of several
 * replicas one does it at a time, and the others wait until all is done.
 *
 * @param app the manifest that the store was migrated to
 * @returns whether rows were changed that clients may have as they were
 * @throws PylonStartError for a row that no value can be made for; those before it keep theirs
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
      // An older version, which does not know the field, may have inserted rows since.
      const isLookedFor = isFilledByCode(target.field) || isRequiredComputed(target);
      if (!isLookedFor || !(await hasEmpty(store, target))) continue;
      isAgain ||= state !== null;
      const begun = { id: target.id, after: "", filled: 0, doneAt: null };
      await store.transact((tx) => BACKFILLS.put(tx, begun));
    }
    // What was computed before a crash is known to nobody.
    const isResumed = target.isComputed && (state?.filled ?? 0) > 0;
    const isKnown = await fillAll(store, target, options);
    isAgain ||= isResumed || isKnown;
  }
  return isAgain;
}

/** Of an optional one, no value is a value. */
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

async function fillAll(
  store: Store,
  target: Target,
  { platform, onProgress }: FillOptions,
): Promise<boolean> {
  let isKnown = false;
  for (let size = BATCH.first; ;) {
    const started = platform.monotonic();
    const batch = await filling(target, () =>
      store.transact((tx) => fillNext(tx, target, platform, size, store.dialect), {
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
    // What came in meanwhile has its turn.
    await new Promise<void>((resolve) => platform.soon(resolve));
  }
}

/** @param took how long a batch of `size` rows took, as a part of what it is to take */
function nextSize(size: number, took: number): number {
  const fitting = Math.round(size / Math.max(took, 0.1));
  return Math.min(Math.max(fitting, BATCH.min), BATCH.max);
}

/**
 * @param size most rows
 * @returns `busy` while another replica has it, or others write the rows that are left
 */
async function fillNext(
  tx: Transaction,
  target: Target,
  platform: Platform,
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
  if (target.isComputed) return computeNext(tx, target, { state, size, platform, dialect });
  const rows = await tx.select({
    entity,
    where: and(isEmpty(field.name), isAfter(state.after)),
    limit: size,
    // One that somebody writes just now is looked at again at the end.
    isClaim: true,
  });
  await fill(tx, target, rows, platform);
  const filled = state.filled + rows.length;
  const isLast = rows.length < size;
  const after = isLast ? "" : (rows.at(-1)?.id ?? "");
  const isDone = isLast && !(await hasEmpty(tx, target));
  const doneAt = isDone ? platform.now() : null;
  if (isDone || after !== state.after) await BACKFILLS.update(tx, id, { after, filled, doneAt });
  return rows.length === 0 && !isDone ? "busy" : { filled, isKnown: false };
}

/** The rows after the last one, in order: one that somebody writes just now is waited for. */
async function computeNext(
  tx: Transaction,
  target: Target,
  how: {
    readonly state: { readonly after: string; readonly filled: number };
    readonly size: number;
    readonly platform: Platform;
    readonly dialect: Store["dialect"];
  },
): Promise<"busy" | Batch> {
  const { state, size, platform, dialect } = how;
  const next = { entity: target.entity, where: isAfter(state.after), limit: size };
  const all = await tx.select(next);
  const held = dialect === "sqlite" ? all : await tx.select({ ...next, isClaim: true });
  const ids = new Set(held.map(({ id }) => id));
  const missing = all.findIndex(({ id }) => !ids.has(id));
  const last = missing === -1 ? all.at(-1) : all[missing - 1];
  const rows = last === undefined ? [] : held.filter(({ id }) => id <= last.id);
  const isDone = missing === -1 && all.length < size;
  const isKnown = await fill(tx, target, rows, platform);
  const filled = state.filled + rows.length;
  const after = isDone ? "" : (last?.id ?? state.after);
  const doneAt = isDone ? platform.now() : null;
  if (isDone || rows.length > 0) await BACKFILLS.update(tx, target.id, { after, filled, doneAt });
  return rows.length === 0 && !isDone ? "busy" : { filled, isKnown };
}

/** @returns whether a row had another value before */
async function fill(
  tx: Transaction,
  { entity, field, isComputed }: Target,
  rows: readonly StoredRow[],
  platform: Platform,
): Promise<boolean> {
  const { name } = field;
  const updates = rows
    .map((row) => {
      const value = isComputed
        ? computedFor(entity, field, row)
        : valueFor(entity, field, row, platform);
      return { id: row.id, patch: { [name]: value }, isSame: isSameValue(row[name], value), row };
    })
    .filter(({ isSame }) => !isSame);
  const isKnown = updates.some(({ row }) => row[name] !== null && row[name] !== undefined);
  if (isScalarKind(kindOf(field.type))) {
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

/** @throws PylonStartError for a refusal of the database, such as of values that are not unique */
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
