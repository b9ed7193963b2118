import { PylonError } from "@pylonsync/protocol";
import { hooksOf, type EntityHooks, type HookContext } from "@pylonsync/sdk";
import type { StoredRow } from "../store/store.ts";

type Fields = Readonly<Record<string, unknown>>;
/** The possible results of a before-hook. */
type Answer = Awaited<ReturnType<NonNullable<EntityHooks["beforeInsert"]>>>;

/**
 * The hooks of all plugins, in order. They run inside the write's transaction: a before-hook may
 * return changed data, or reject the write with null or false; an after-hook that throws rolls the
 * write back.
 */
export class HookSet {
  readonly #hooks: readonly EntityHooks[];
  readonly isEmpty: boolean;

  /** @param hooks in the order in which they run */
  constructor(hooks: readonly EntityHooks[]) {
    this.#hooks = hooks;
    this.isEmpty = hooks.length === 0;
  }

  /** Returns the hooks of the module's default export; the JSON form of a manifest has none. */
  static of(manifestModule: unknown): HookSet {
    return new HookSet(hooksOf(manifestModule));
  }

  async beforeInsert(data: Fields, context: HookContext): Promise<Fields> {
    let current = data;
    for (const { beforeInsert } of this.#hooks) {
      if (beforeInsert !== undefined)
        current = accepted(current, await beforeInsert(current, context), context);
    }
    return current;
  }

  async beforeUpdate(patch: Fields, before: StoredRow, context: HookContext): Promise<Fields> {
    let current = patch;
    for (const { beforeUpdate } of this.#hooks) {
      if (beforeUpdate !== undefined)
        current = accepted(current, await beforeUpdate(current, before, context), context);
    }
    return current;
  }

  /** @returns whether a hook keeps the row; no hook can in a cascade */
  async beforeDelete(before: StoredRow, context: HookContext): Promise<boolean> {
    for (const { beforeDelete } of this.#hooks) {
      const answer = await beforeDelete?.(before, context);
      if (answer === "keep") {
        if (!context.isCascade) return true;
      } else if (beforeDelete !== undefined) accepted({}, answer, context);
    }
    return false;
  }

  async afterInsert(row: StoredRow, context: HookContext): Promise<void> {
    for (const { afterInsert } of this.#hooks) await afterInsert?.(row, context);
  }
  async afterUpdate(row: StoredRow, before: StoredRow, context: HookContext): Promise<void> {
    for (const { afterUpdate } of this.#hooks) await afterUpdate?.(row, before, context);
  }
  async afterDelete(before: StoredRow, context: HookContext): Promise<void> {
    for (const { afterDelete } of this.#hooks) await afterDelete?.(before, context);
  }
}

function accepted(current: Fields, answer: Answer, context: HookContext): Fields {
  if (answer === null || answer === false) {
    throw new PylonError("HOOK_REFUSED", `A plugin rejected this write to ${context.entity}.`);
  }
  return typeof answer === "object" ? answer : current;
}
