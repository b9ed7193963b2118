import { PylonError } from "@pylonsync/protocol";
import type { HookContext, HookDb, HookScheduleOptions } from "@pylonsync/sdk";
import type { Caller } from "../identity/identity.ts";
import { checkedId, splitId } from "../schema/row-input.ts";
import type { Transaction } from "../store/store.ts";
import type { DataModel } from "./model.ts";
import { Reads } from "./reads.ts";
import type { Writer } from "./writer.ts";

/** A call of a function that a hook schedules. */
export interface HookCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly options: HookScheduleOptions;
}

/** The queue of jobs to which hooks add the calls that they schedule. */
export interface HookQueue {
  /** @returns the job's id, and when it is due in milliseconds since 1970 */
  add(tx: Transaction, call: HookCall): Promise<{ readonly id: string; readonly dueAt: number }>;
  /** Called after the commit with the due times of the added calls. */
  wake(times: readonly number[]): void;
}

/** The parts from which a hook's context is made. */
export interface HookWrite {
  readonly entity: string;
  readonly caller: Caller;
  readonly isTrusted: boolean;
  readonly isCascade: boolean;
  readonly now: number;
  readonly uuid: () => string;
  readonly monotonic: () => number;
  readonly model: DataModel;
  /** Writes without policies, one level deeper. */
  readonly writer: () => Writer;
  readonly schedule: (call: HookCall) => Promise<string>;
}

/** Returns the context for the hooks of one write. */
export function hookContext(write: HookWrite): HookContext {
  const { entity, caller, isTrusted, isCascade, now, uuid } = write;
  let db: HookDb | undefined;
  return {
    entity,
    auth: caller,
    isTrusted,
    isCascade,
    now,
    uuid,
    get db() {
      return (db ??= hookDb(write));
    },
    schedule: (name, args = {}, options = {}) => write.schedule({ name, args, options }),
    error: (code, message, { field, hint, retryAfterSecs } = {}) =>
      new PylonError(code, message, {
        ...(field === undefined ? {} : { field }),
        ...(hint === undefined ? {} : { hint }),
        ...(retryAfterSecs === undefined ? {} : { extra: { retry_after_secs: retryAfterSecs } }),
      }),
  };
}

function hookDb(write: HookWrite): HookDb {
  return writerDb(write.writer(), write.model, write);
}

/** Returns database access through a writer: inside its transaction, without policies. */
export function writerDb(
  within: Writer,
  model: DataModel,
  { caller, now, monotonic }: Pick<HookWrite, "caller" | "now" | "monotonic">,
): HookDb {
  const reads = new Reads(within, model, { caller, now, monotonic, policies: "bypassed" });
  return {
    get: (entity, id) => reads.get(entity, id),
    query: (entity, filter) => reads.query(entity, filter),
    count: (entity, filter) => reads.count(entity, filter),
    insert: async (entity, data) => {
      const { id, fields } = splitId(data);
      return within.insert(entity, fields, checkedId(id));
    },
    update: (entity, id, patch) => within.update(entity, id, patch),
    delete: (entity, id) => within.delete(entity, id),
  };
}
