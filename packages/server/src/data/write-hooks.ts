import type { HookContext } from "@pylonsync/sdk";
import { asObject } from "../schema/row-input.ts";
import type { Entity } from "../schema/schema.ts";
import type { StoredRow, Transaction } from "../store/store.ts";
import { hookContext } from "./hook-context.ts";
import type { DataModel } from "./model.ts";
import { withoutServerFields } from "./timestamps.ts";
import type { WritePermissions } from "./write-permissions.ts";
import type { WriterOptions } from "./writer-options.ts";
import type { Writer } from "./writer.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The parts of a writer that its hooks use. */
export interface HookSurroundings {
  readonly tx: Transaction;
  readonly model: DataModel;
  readonly options: WriterOptions;
  readonly permissions: Pick<WritePermissions, "isTrusted" | "mayStamp">;
  /** Writes without policies, one level deeper. @throws PylonError TRANSACTION_TOO_LARGE */
  readonly writer: () => Writer;
}

/** Runs the app's hooks around the writes of one writer. Without hooks, data is not changed. */
export class WriteHooks {
  readonly #given: HookSurroundings;

  constructor(given: HookSurroundings) {
    this.#given = given;
  }

  /** @returns the data to insert instead of `data` @throws PylonError HOOK_REFUSED */
  async beforeInsert(entity: Entity, data: unknown): Promise<unknown> {
    const { hooks } = this.#given.model;
    const answer = await hooks.beforeInsert(asObject(entity, data), this.#context(entity));
    return this.#fromHook(entity, answer);
  }

  afterInsert(entity: Entity, row: StoredRow): Promise<void> {
    return this.#given.model.hooks.afterInsert(row, this.#context(entity));
  }

  /** @returns the patch to write instead of `patch` @throws PylonError HOOK_REFUSED */
  async beforeUpdate(
    entity: Entity,
    before: StoredRow,
    patch: unknown,
    isCascade: boolean,
  ): Promise<unknown> {
    const { hooks } = this.#given.model;
    const context = this.#context(entity, isCascade);
    return this.#fromHook(
      entity,
      await hooks.beforeUpdate(asObject(entity, patch), before, context),
    );
  }

  afterUpdate(
    entity: Entity,
    before: StoredRow,
    after: StoredRow,
    isCascade: boolean,
  ): Promise<void> {
    const context = this.#context(entity, isCascade);
    return this.#given.model.hooks.afterUpdate(after, before, context);
  }

  /**
   * Runs `remove` between the hooks of a delete.
   *
   * @returns false if a hook keeps the row; then `remove` is not called
   * @throws PylonError HOOK_REFUSED
   */
  async aroundDelete(
    entity: Entity,
    before: StoredRow,
    isCascade: boolean,
    remove: () => Promise<void>,
  ): Promise<boolean> {
    const { hooks } = this.#given.model;
    const context = this.#context(entity, isCascade);
    if (await hooks.beforeDelete(before, context)) return false;
    await remove();
    await hooks.afterDelete(before, context);
    return true;
  }

  /** Omits server-written fields, unless they may be set: a hook may return a whole row. */
  #fromHook(entity: Entity, data: Fields): Fields {
    return this.#given.permissions.mayStamp ? data : withoutServerFields(entity, data);
  }

  #context(entity: Entity, isCascade = false): HookContext {
    const { tx, model, permissions, writer, options } = this.#given;
    const { caller, now, uuid, monotonic, schedule } = options;
    return hookContext({
      entity: entity.name,
      caller,
      isTrusted: permissions.isTrusted || isCascade,
      isCascade,
      now,
      uuid,
      monotonic,
      model,
      writer,
      schedule: async (call) => {
        if (schedule !== undefined) return schedule(tx, call);
        throw new Error("There is no job runner here, so a hook can't schedule a call.");
      },
    });
  }
}
