import { isObject, shown, suggestion } from "./mistake.ts";
import type { HookDb } from "./plugin.ts";
import type { EntityName, RegisteredEntities } from "./register.ts";

/** The context of a data migration. */
export interface DataMigrationContext {
  /**
   * Reads and writes rows of the app inside the transaction, without policies. Hooks run, and
   * clients receive the changes.
   */
  readonly db: HookDb;
  /** Milliseconds since 1970; constant within the transaction. */
  readonly now: number;
  /** Generates a UUID. */
  readonly uuid: () => string;
}

/** A data migration that processes each row of an entity. */
export interface RowMigration<E extends EntityName = EntityName> {
  /** The entity whose rows are processed, in the order of their ids. */
  readonly entity: E;
  /**
   * Called with each row that existed when the migration began. It may run again after a conflict,
   * so its only side effects must be writes through `ctx.db`.
   */
  readonly each: (ctx: DataMigrationContext, row: RegisteredEntities[E]) => unknown;
}

/** A data migration that runs as one transaction. */
export interface WholeMigration {
  /**
   * It may run again after a conflict, so its only side effects must be writes through `ctx.db`.
   */
  readonly run: (ctx: DataMigrationContext) => unknown;
}

/** The default export of a file in `migrations/`. */
export type DataMigration =
  | {
      readonly entity: string;
      readonly each: (ctx: DataMigrationContext, row: never) => unknown;
    }
  | WholeMigration;

/** A global symbol, so that other copies of this package recognize it too. */
const MADE = Symbol.for("pylon.data-migration");

/**
 * A change of rows that is made once, when a server of the app starts: the default export of a file
 * in `migrations/`, which `pylon migrate create NAME` writes. They run in the order of their names.
 *
 * @throws Error for a definition that is neither of the two forms
 *
 * @example
 * export default dataMigration({
 *   entity: "Todo",
 *   each: async (ctx, todo) => {
 *     await ctx.db.update("Todo", todo.id, { title: todo.title.trim() });
 *   },
 * });
 */
export function dataMigration<const E extends EntityName>(
  definition: RowMigration<E> | WholeMigration,
): DataMigration {
  const problem = mistakeIn(definition);
  if (problem !== undefined) throw new Error(problem);
  const made: DataMigration = { ...definition };
  return Object.assign(made, { [MADE]: true });
}

/**
 * Whether a value was created by `dataMigration`, of this copy of the package or of another one.
 *
 * @example
 * const isValid = (exported: unknown): boolean => isDataMigration(exported);
 */
export function isDataMigration(value: unknown): value is DataMigration {
  return isObject(value) && MADE in value;
}

function mistakeIn(definition: unknown): string | undefined {
  const example = 'dataMigration({ entity: "Task", each: async (ctx, row) => { ... } })';
  if (!isObject(definition)) return `A data migration is ${shown(definition)}: write ${example}.`;
  const keys = ["entity", "each", "run"];
  const unknown = Object.keys(definition).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    return `A data migration has no option "${unknown}". ${suggestion(unknown, keys)}`;
  const { entity, each, run } = definition;
  const isWhole = typeof run === "function" && entity === undefined && each === undefined;
  const isOfRows = typeof entity === "string" && typeof each === "function" && run === undefined;
  return isWhole || isOfRows
    ? undefined
    : `A data migration has either an entity and each, or run: write ${example}.`;
}
