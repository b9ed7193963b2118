import { PylonError } from "@pylonsync/protocol";
import type { Access } from "../policy/policy-set.ts";
import { withCurrentNames } from "../schema/old-names.ts";
import { changedFields, checkCondition } from "../schema/row-condition.ts";
import type { Entity } from "../schema/schema.ts";
import type { Reader, StoredRow, Value } from "../store/store.ts";
import type { DataModel } from "./model.ts";
import { RuleEnv } from "./rules.ts";
import type { WriterOptions } from "./writer-options.ts";

/** The values that a row must still have, by field. */
export type RowCondition = Readonly<Record<string, Value>>;

/** Checks what one caller may write in one transaction. */
export class WritePermissions {
  readonly #reader: Reader;
  readonly #model: DataModel;
  readonly #options: Pick<WriterOptions, "caller" | "policies" | "now">;

  constructor(
    reader: Reader,
    model: DataModel,
    options: Pick<WriterOptions, "caller" | "policies" | "now">,
  ) {
    this.#reader = reader;
    this.#model = model;
    this.#options = options;
  }

  /** Whether no policy applies: the writer is a function of the app, or an admin. */
  get isTrusted(): boolean {
    return this.#options.policies === "bypassed" || this.#options.caller.isAdmin;
  }

  /** Whether fields that the server stamps may be set: an admin may, to restore rows. */
  get mayStamp(): boolean {
    return this.#options.policies === "enforced" && this.#options.caller.isAdmin;
  }

  /** @throws PylonError POLICY_DENIED */
  async authorise(
    entity: Entity,
    access: Access,
    rows: { data: StoredRow; old?: StoredRow },
  ): Promise<void> {
    if (!(await this.allowed(entity, access, rows))) throw denied(entity.name, access);
  }

  /** Whether the policies allow this access. */
  async allowed(
    entity: Entity,
    access: Access,
    rows: { data: StoredRow; old?: StoredRow },
  ): Promise<boolean> {
    if (this.#options.policies === "bypassed") return true;
    const env = new RuleEnv(this.#options.caller, this.#options.now, rows.data, rows.old);
    return this.#model.rules.allows(this.#reader, entity.name, access, env);
  }

  /**
   * Checks the policies of single fields.
   *
   * @param names the names of the fields that are written
   * @throws PylonError POLICY_DENIED with the `field`
   */
  async authoriseFields(
    entity: Entity,
    access: "insert" | "update",
    names: readonly string[],
    rows: { data: StoredRow; old?: StoredRow },
  ): Promise<void> {
    if (this.#options.policies === "bypassed") return;
    const env = new RuleEnv(this.#options.caller, this.#options.now, rows.data, rows.old);
    for (const field of names) {
      const place = { entity: entity.name, field };
      if (await this.#model.rules.allowsField(this.#reader, place, access, env)) continue;
      throw new PylonError(
        "POLICY_DENIED",
        `The policies of ${entity.name} do not allow this ${access} of the field ${field}.`,
        { field, hint: `Omit ${field}, or see fields.${field} in the policies.` },
      );
    }
  }

  /** Returns the row as the caller may see it; null if the caller may not read it. */
  async seen(entity: Entity, row: StoredRow): Promise<StoredRow | null> {
    if (this.isTrusted) return row;
    if (!(await this.allowed(entity, "read", { data: row }))) return null;
    return this.#model.rules.seenBy(entity, this.#options.caller).visible(row);
  }

  /** Returns the fields of the entity that the caller may use in conditions. */
  shapeFor(entity: Entity): Pick<Entity["publicShape"], "fields"> | Pick<Entity, "fields"> {
    if (this.isTrusted) return entity;
    return this.#model.rules.seenBy(entity, this.#options.caller).publicShape;
  }

  /** Of the given fields, those that the caller may not read. */
  blind(entity: Entity, names: readonly string[]): ReadonlySet<string> {
    const { fields } = this.shapeFor(entity);
    return new Set(names.filter((name) => !fields.has(name)));
  }

  /**
   * Rejects relative changes of unreadable fields: their success or failure would reveal the value.
   *
   * @param names the names of the fields that are changed relative to their value
   * @throws PylonError INVALID_COLUMN with the `field`
   */
  refuseBlind(entity: Entity, names: Iterable<string>): void {
    const { fields } = this.shapeFor(entity);
    for (const field of names) {
      if (fields.has(field)) continue;
      throw new PylonError(
        "INVALID_COLUMN",
        `You may not read ${entity.name}.${field}, so you can't change it relative to its value.`,
        { field, hint: "Send the new value." },
      );
    }
  }

  /**
   * Checks `ifUnchanged`, which may only use fields that the caller may read.
   *
   * @throws PylonError INVALID_DATA, INVALID_COLUMN
   */
  condition(entity: Entity, ifUnchanged: unknown): RowCondition | undefined {
    const { fields } = this.shapeFor(entity);
    return checkCondition(entity, withCurrentNames(entity, ifUnchanged), fields);
  }

  /**
   * Checks that the caller may change the row, and that it has the expected values.
   *
   * @returns false for a row that is treated as if it did not exist
   * @throws PylonError POLICY_DENIED, ROW_CHANGED
   */
  async meets(
    entity: Entity,
    access: "update" | "delete",
    row: StoredRow,
    expected: RowCondition | undefined,
  ): Promise<boolean> {
    if (!(await this.#mayTouch(entity, access, row))) return false;
    if (expected === undefined) return true;
    // If the caller may write the row but not read it, conditions must not reveal its values.
    if (!(await this.allowed(entity, "read", { data: row }))) return false;
    const [changed] = changedFields(row, expected);
    if (changed === undefined) return true;
    throw new PylonError("ROW_CHANGED", `The ${entity.name} does not match ifUnchanged.`, {
      field: changed,
      hint: `Its ${changed} has changed. Read the row again, and retry.`,
    });
  }

  /**
   * Checks the policy on the stored row. If the policy denies access, returns false for a row that
   * the caller may not read, and throws POLICY_DENIED for any other.
   */
  async #mayTouch(entity: Entity, access: "update" | "delete", row: StoredRow): Promise<boolean> {
    if (await this.allowed(entity, access, { data: row, old: row })) return true;
    if (!(await this.allowed(entity, "read", { data: row }))) return false;
    throw denied(entity.name, access);
  }
}

function denied(entity: string, access: Access): PylonError {
  const own = `allow${access[0]?.toUpperCase()}${access.slice(1)}`;
  return new PylonError("POLICY_DENIED", `The policies of ${entity} do not allow this ${access}.`, {
    hint: `See ${own}, allowWrite and allow in the policies that name ${entity}.`,
  });
}
