import { errorMaker, type FnDefinition, type JobInfo } from "@pylonsync/functions";
import { ActionParts } from "./action-parts.ts";
import { CallLog } from "./call-log.ts";
import { callerAuth } from "./caller-auth.ts";
import { streamOf, type Call, type RunningCall } from "./call.ts";
import type { LooseReader, LooseWriter } from "./db.ts";
import type { Deadline } from "./deadline.ts";
import type { FunctionCallers } from "./function-callers.ts";
import { RunChance } from "./run-chance.ts";
import type { RunnerServices } from "./runner-services.ts";
import { secretsOf } from "./secrets.ts";
import type { TransactionParts } from "./transaction-parts.ts";
import { isUnguarded, watchWholeArgs } from "./whole-args.ts";

/** The parts of `ctx` that all handlers have, except `signal`. */
export type BaseContext = Readonly<Record<string, unknown>>;

/** The `ctx` of a mutation. */
interface MutationContext extends Record<string, unknown> {
  readonly db: LooseWriter;
}

/** Creates the `ctx` of handlers. Rarely used parts are created on first access. */
export class RunContexts {
  readonly #services: RunnerServices;
  readonly #callers: (call: RunningCall, deadline: Deadline) => FunctionCallers;
  /** Pairs of function and entity that were already warned about, in dev mode. */
  readonly #warned = new Set<string>();
  readonly #secrets = new WeakMap<FnDefinition, Readonly<Record<string, string>>>();

  /** @param callers creates the methods by which an action calls other functions */
  constructor(
    services: RunnerServices,
    callers: (call: RunningCall, deadline: Deadline) => FunctionCallers,
  ) {
    this.#services = services;
    this.#callers = callers;
  }

  /** The parts that all handlers have, except `signal`. @param now the time of the run */
  base(
    name: string,
    definition: FnDefinition,
    { caller, requestId, watch }: Call,
    now: number,
  ): BaseContext {
    const { env, log, cache, platform } = this.#services;
    const chance = new RunChance(watch?.seed, platform);
    return {
      auth: callerAuth(caller),
      env: env.shared,
      now,
      random: () => chance.random(),
      uuid: () => chance.uuid(),
      secrets: this.#secretsOf(name, definition),
      log: new CallLog(log, name),
      cache,
      requestId,
      error: errorMaker(definition),
    };
  }

  /** Creates the `ctx` of a query. */
  query(
    base: BaseContext,
    { watch }: RunningCall,
    deadline: Deadline,
    db: LooseReader,
  ): Record<string, unknown> {
    const context = {
      ...base,
      db,
      get signal() {
        return deadline.signal;
      },
    };
    if (watch === undefined) return context;
    return Object.defineProperty(context, "auth", {
      enumerable: true,
      get: () => {
        watch.readCaller();
        return base["auth"];
      },
    });
  }

  /** Creates the `ctx` of a mutation. @param parts the parts of its transaction */
  mutation(
    base: BaseContext,
    call: RunningCall,
    deadline: Deadline,
    parts: TransactionParts,
    db: LooseWriter,
  ): MutationContext {
    return {
      ...base,
      db,
      job: call.job === undefined ? null : jobInfoOf(call.job),
      stream: streamOf(call),
      get email() {
        return parts.email;
      },
      get workflows() {
        return parts.workflows;
      },
      get scheduler() {
        return parts.scheduler;
      },
      get claims() {
        return parts.claims;
      },
      get signal() {
        return deadline.signal;
      },
    };
  }

  /**
   * Returns the given context of a mutation. In dev mode it warns, once per entity, when an object
   * from the caller is written as a whole. Data from an isolated process is a copy, which can't be
   * recognized.
   */
  watched(
    name: string,
    definition: FnDefinition,
    { isTrusted = false, isIsolated }: RunningCall,
    args: unknown,
    context: MutationContext,
  ): Record<string, unknown> {
    const { dev, log } = this.#services;
    if (!dev || isTrusted || isIsolated || !isUnguarded(definition)) return context;
    return watchWholeArgs(context, context.db, args, (entity) => {
      const key = `${name} ${entity}`;
      if (this.#warned.has(key)) return;
      this.#warned.add(key);
      log.warn(`A function writes an object of its caller to ${entity} unchecked.`, {
        function: name,
        hint: "Declare auth, check ctx.auth, use ctx.db.as(ctx.auth), or copy single fields.",
      });
    });
  }

  /** Creates the `ctx` of an action. */
  action(base: BaseContext, call: RunningCall, deadline: Deadline): Record<string, unknown> {
    const parts = new ActionParts(this.#services, call, deadline);
    const context = {
      ...base,
      ...this.#callers(call, deadline),
      job: call.job ?? null,
      stream: streamOf(call),
      get fetch() {
        return parts.fetch;
      },
      get email() {
        return parts.email;
      },
      get storage() {
        return parts.storage;
      },
      get scheduler() {
        return parts.scheduler;
      },
      get workflows() {
        return parts.workflows;
      },
      get signal() {
        return deadline.signal;
      },
    };
    return call.request === undefined ? context : Object.assign(context, { request: call.request });
  }

  /** Returns `ctx.secrets`, which is cached per function. */
  #secretsOf(name: string, definition: FnDefinition): Readonly<Record<string, string>> {
    const known = this.#secrets.get(definition);
    if (known !== undefined) return known;
    const { secrets = [] } = definition;
    const made = secretsOf(name, secrets, this.#services.env.secrets(secrets));
    this.#secrets.set(definition, made);
    return made;
  }
}

function jobInfoOf({ id, attempt, batch }: JobInfo): JobInfo {
  return { id, attempt, batch };
}
