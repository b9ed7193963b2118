import { errorMaker, type FnDefinition, type JobInfo } from "@pylonsync/functions";
import { ActionParts } from "./action-parts.ts";
import { CallLog } from "./call-log.ts";
import { callerAuth, type CallerAuth } from "./caller-auth.ts";
import { streamOf, type RunningCall } from "./call.ts";
import type { LooseReader, LooseWriter } from "./db.ts";
import type { FunctionCallers } from "./function-callers.ts";
import { RunChance } from "./run-chance.ts";
import type { RunnerServices } from "./runner-services.ts";
import { secretsOf } from "./secrets.ts";
import type { TransactionParts } from "./transaction-parts.ts";
import { isUnguarded, watchWholeArgs } from "./whole-args.ts";

/** A `ctx`, with the identity in it: reading `context.auth` may have a side effect. */
export interface RunContext {
  readonly context: Record<string, unknown>;
  readonly auth: CallerAuth;
}

/** The `ctx` of a mutation. */
interface MutationContext extends Record<string, unknown> {
  readonly db: LooseWriter;
}

/** The parts of `ctx` that all calls of a function share. */
interface SharedParts {
  readonly name: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly log: CallLog;
  readonly error: ReturnType<typeof errorMaker>;
}

/**
 * Creates the `ctx` of handlers. Rarely used parts are created on first access. Each `ctx` is one
 * object literal: to compose it of spread parts takes three times as long.
 */
export class RunContexts {
  readonly #services: RunnerServices;
  readonly #callers: (running: RunningCall) => FunctionCallers;
  /** Pairs of function and entity that were already warned about, in dev mode. */
  readonly #warned = new Set<string>();
  readonly #shared = new WeakMap<FnDefinition, SharedParts>();

  /** @param callers creates the methods by which an action calls other functions */
  constructor(services: RunnerServices, callers: (running: RunningCall) => FunctionCallers) {
    this.#services = services;
    this.#callers = callers;
  }

  /** Creates the `ctx` of a query. @param now the time of the run */
  query(running: RunningCall, now: number, db: LooseReader): RunContext {
    const { env, cache, platform } = this.#services;
    const { secrets, log, error } = this.#sharedParts(running);
    const { caller, watch, requestId } = running.call;
    const auth = callerAuth(caller);
    const chance = new RunChance(watch?.seed, platform);
    const context = {
      auth,
      env: env.shared,
      now,
      random: () => chance.random(),
      uuid: () => chance.uuid(),
      secrets,
      log,
      cache,
      requestId,
      error,
      db,
      get signal() {
        return running.deadline.signal;
      },
    };
    if (watch !== undefined)
      Object.defineProperty(context, "auth", {
        enumerable: true,
        get: () => {
          watch.readCaller();
          return auth;
        },
      });
    return { context, auth };
  }

  /**
   * Creates the `ctx` of a mutation.
   *
   * @param now the time of the run
   * @param parts the parts of its transaction
   */
  mutation(
    running: RunningCall,
    now: number,
    parts: TransactionParts,
    db: LooseWriter,
  ): RunContext & { readonly context: MutationContext } {
    const { env, cache, platform } = this.#services;
    const { secrets, log, error } = this.#sharedParts(running);
    const { caller, watch, requestId, job } = running.call;
    const auth = callerAuth(caller);
    const chance = new RunChance(watch?.seed, platform);
    const context = {
      auth,
      env: env.shared,
      now,
      random: () => chance.random(),
      uuid: () => chance.uuid(),
      secrets,
      log,
      cache,
      requestId,
      error,
      db,
      job: job === undefined ? null : jobInfoOf(job),
      stream: streamOf(running),
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
        return running.deadline.signal;
      },
    };
    return { context, auth };
  }

  /**
   * Returns the given context of a mutation. In dev mode it warns, once per entity, when an object
   * from the caller is written as a whole. Data from an isolated process is a copy, which can't be
   * recognized.
   */
  watched(
    { name, definition, call, isIsolated }: RunningCall,
    args: unknown,
    context: MutationContext,
  ): Record<string, unknown> {
    const { dev, log } = this.#services;
    const { isTrusted = false } = call;
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

  /** Creates the `ctx` of an action. @param now the time of the run */
  action(running: RunningCall, now: number): RunContext {
    const { env, cache, platform } = this.#services;
    const { secrets, log, error } = this.#sharedParts(running);
    const { caller, watch, requestId, job = null, request } = running.call;
    const { runQuery, runMutation, runAction } = this.#callers(running);
    const parts = new ActionParts(this.#services, running);
    const auth = callerAuth(caller);
    const chance = new RunChance(watch?.seed, platform);
    const context = {
      auth,
      env: env.shared,
      now,
      random: () => chance.random(),
      uuid: () => chance.uuid(),
      secrets,
      log,
      cache,
      requestId,
      error,
      runQuery,
      runMutation,
      runAction,
      job,
      stream: streamOf(running),
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
        return running.deadline.signal;
      },
    };
    if (request !== undefined) Object.assign(context, { request });
    return { context, auth };
  }

  /** Returns the shared parts, which are cached per function. */
  #sharedParts({ name, definition }: RunningCall): SharedParts {
    const known = this.#shared.get(definition);
    if (known?.name === name) return known;
    const { secrets = [] } = definition;
    const { env, log } = this.#services;
    const made: SharedParts = {
      name,
      secrets: secretsOf(name, secrets, env.secrets(secrets)),
      log: new CallLog(log, name),
      error: errorMaker(definition),
    };
    this.#shared.set(definition, made);
    return made;
  }
}

function jobInfoOf({ id, attempt, batch }: JobInfo): JobInfo {
  return { id, attempt, batch };
}
