import { PylonError } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import {
  parseArgs,
  parseResult,
  type ActionCtx,
  type ActionJob,
  type FnCache,
  type FnDefinition,
  type JobInfo,
} from "@pylonsync/functions";
import { ANONYMOUS, type Caller } from "../identity/identity.ts";
import type { CommitOptions, Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import type { Writer } from "../data/writer.ts";
import { describeThrown } from "../observe/log.ts";
import {
  currentOperation,
  reasonOf,
  runIn,
  startSpan,
  type Operation,
} from "../observe/operation.ts";
import { type Platform, type Timer } from "../platform.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";
import { toPublicError } from "../request/responses.ts";
import { createDbReader, createDbWriter } from "./db.ts";
import { encodeResult, type EncodedResult } from "./encode-result.ts";
import { RunChance } from "./run-chance.ts";
import { ActionScheduler, TransactionScheduler, type JobQueue } from "./scheduler.ts";
import { ActionWorkflows, TransactionWorkflows, type WorkflowRuns } from "./workflows.ts";

/** The functions of an app by their names. */
export type Functions = ReadonlyMap<string, FnDefinition>;

/** What a call brings with it. */
export interface Call {
  readonly caller: Caller;
  /** Whose share of the store's readers its queries use. */
  readonly readerShare: string;
  readonly requestId: string;
  /** Makes a retry of a mutation safe. */
  readonly op?: CommitOptions["op"];
  /** The client is gone: nobody waits for the answer. */
  readonly signal?: AbortSignal | undefined;
  readonly stream?: FunctionStream | undefined;
  /** The HTTP request, for a webhook. */
  readonly request?: WebhookRequest | undefined;
  /** The job that makes it. */
  readonly job?: ActionJob | undefined;
  /** Only the server's operators learn of its failure: they are told what was thrown. */
  readonly isForOperators?: boolean | undefined;
  /** Nobody waits for its answer: short mutations may share a transaction. */
  readonly isInBackground?: boolean | undefined;
  /** How long it may run, in milliseconds, where that is not as long as any call. */
  readonly timeoutMs?: number | undefined;
  /** Told what a query looks at. */
  readonly watch?: RunWatch | undefined;
  /**
   * Run in a mutation's transaction after its handler: what it writes is committed with what the
   * handler wrote, and what it throws undoes both.
   */
  readonly beforeCommit?: ((tx: Transaction, result: EncodedResult) => Promise<void>) | undefined;
}

/** Told what the run of a query looks at, so that it can be run again when that changes. */
export interface RunWatch {
  /** What `ctx.random` and `ctx.uuid` are drawn from. */
  readonly seed: string;
  /** The run begins, perhaps anew. @returns the reader that it has to use */
  begin(reader: Reader): Reader;
  /** The handler looked at `ctx.auth`. */
  readCaller(): void;
}

/** What calls functions of one type each. */
export type FunctionCallers = Pick<ActionCtx, "runQuery" | "runMutation" | "runAction">;

/** Where `ctx.stream` writes. */
export interface FunctionStream {
  write(text: string): void;
  writeEvent(event: string, text: string): void;
}

/** The HTTP request that called a webhook. */
export interface WebhookRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawBody: string;
}

/** What functions run on. */
export interface RunnerServices {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly functions: () => Functions;
  readonly platform: Platform;
  /** The environment that functions see as `ctx.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What functions see as `ctx.cache`. */
  readonly cache: FnCache;
  readonly timeoutMs: number;
  /** In dev mode the caller is told what a handler threw. */
  readonly dev: boolean;
  /** Where `ctx.scheduler` puts what shall run later. */
  readonly queue: JobQueue;
  /** Where `ctx.workflows` starts runs. */
  readonly workflows: WorkflowRuns;
  /** Told what starts and ends, for metrics, logs and the watchdog. */
  readonly observer: RunObserver;
}

/** Told what becomes of calls. */
export interface RunObserver {
  started(name: string): void;
  ended(
    name: string,
    type: FnDefinition["type"],
    outcome: "ok" | "refused" | "failed",
    durationMs: number,
  ): void;
  /** A handler threw something that is no refusal: a bug in the app. */
  failed(name: string, requestId: string, error: unknown): void;
}

/** What a webhook's action is given without declaring it. */
const WEBHOOK_ARGS = ["rawBody"];

const SILENT: FunctionStream = { write: () => undefined, writeEvent: () => undefined };

/** Runs an app's queries, mutations and actions. */
export class Runner {
  readonly #services: RunnerServices;

  constructor(services: RunnerServices) {
    this.#services = services;
  }

  /**
   * The function that may be called from outside under this name.
   *
   * @throws PylonError FUNCTIONS_NOT_AVAILABLE, FN_NOT_FOUND
   */
  find(name: string): FnDefinition {
    const functions = this.#services.functions();
    const definition = functions.get(name);
    if (definition !== undefined && definition.internal !== true) return definition;
    if (functions.size === 0)
      throw new PylonError("FUNCTIONS_NOT_AVAILABLE", "This app has no functions.", {
        hint: `Write functions/${name}.ts.`,
      });
    throw this.#notFound(name, ([, { internal }]) => internal !== true);
  }

  /** In dev mode the caller is told which function was probably meant. */
  #notFound(
    name: string,
    isCallable: (entry: readonly [string, FnDefinition]) => boolean,
  ): PylonError {
    const names = [...this.#services.functions()].filter(isCallable).map(([known]) => known);
    const meant = this.#services.dev ? nearest(name.slice(0, 80), names) : undefined;
    return new PylonError("FN_NOT_FOUND", `There is no function "${name.slice(0, 80)}".`, {
      hint:
        meant === undefined
          ? "A function is named after its file in functions/."
          : `Did you mean "${meant}"?`,
    });
  }

  /**
   * Runs a function. A mutation is one transaction: when it throws, it leaves nothing.
   *
   * @returns what the handler returned, `undefined` as null, with its JSON
   * @throws PylonError INVALID_ARGS, FN_TIMEOUT, what the handler throws of `ctx.error` or
   *   `ctx.db`, and HANDLER_ERROR for all else that it throws, and for a result that is not JSON
   */
  run(
    name: string,
    definition: FnDefinition,
    rawArgs: unknown,
    call: Call,
  ): Promise<EncodedResult> {
    const span = startSpan(`function ${name}`, "internal", {
      "pylon.function": name,
      "pylon.function.type": definition.type,
    });
    const operation: Operation = {
      requestId: call.requestId,
      where: `function ${name}`,
      span: span ?? currentOperation()?.span ?? null,
    };
    return runIn(operation, () => this.#run(name, definition, rawArgs, call, span));
  }

  /**
   * The function of a type, an internal one too.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH
   */
  definitionOf(name: string, type: FnDefinition["type"]): FnDefinition {
    const definition = this.#services.functions().get(name);
    if (definition === undefined)
      throw this.#notFound(String(name), (entry) => entry[1].type === type);
    if (definition.type === type) return definition;
    throw new PylonError("FN_TYPE_MISMATCH", `"${name}" is a ${definition.type}, not a ${type}.`);
  }

  /** Calls functions of the app by their names, internal ones too, with nobody signed in. */
  callers(requestId: string, readerShare: string, signal: AbortSignal): FunctionCallers {
    return this.#callers({ caller: ANONYMOUS, readerShare, requestId }, signal);
  }

  async #run(
    name: string,
    definition: FnDefinition,
    rawArgs: unknown,
    call: Call,
    span: Operation["span"],
  ): Promise<EncodedResult> {
    const { observer, platform } = this.#services;
    const started = platform.monotonic();
    let outcome: "ok" | "refused" | "failed" = "ok";
    const timeoutMs = call.timeoutMs ?? this.#services.timeoutMs;
    const deadline = new Deadline(name, timeoutMs, call.signal, platform);
    observer.started(name);
    try {
      const args = parseArgs(definition, rawArgs, {
        supplied: call.request === undefined ? [] : WEBHOOK_ARGS,
      });
      return await this.#invoke(name, definition, args, call, deadline);
    } catch (error) {
      const refusal = toPublicError(error);
      outcome = refusal === undefined ? "failed" : "refused";
      span?.fail(reasonOf(error));
      if (refusal !== undefined) throw refusal;
      observer.failed(name, call.requestId, error);
      throw this.#handlerError(error, call);
    } finally {
      deadline.clear();
      span?.end();
      observer.ended(name, definition.type, outcome, platform.monotonic() - started);
    }
  }

  async #invoke(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: Call,
    deadline: Deadline,
  ): Promise<EncodedResult> {
    const { store, model, platform } = this.#services;
    const scope = { caller: call.caller, now: platform.now() };
    const base = this.#baseContext(call, deadline.signal);
    // The handler's own types are the app's; here it takes whatever context its type says.
    const handler = definition.handler as (context: unknown, args: unknown) => unknown;
    const handle = async (context: unknown): Promise<EncodedResult> =>
      encodeResult(
        parseResult(definition, (await askHandler(() => handler(context, args))) ?? null),
      );
    switch (definition.type) {
      case "query":
        return store.snapshot(
          (reader) => handle(this.#queryContext(base, call, scope, reader)),
          { caller: call.readerShare, timeoutMs: call.timeoutMs ?? this.#services.timeoutMs },
          deadline.signal,
        );
      case "mutation":
        return this.#mutate(name, call, deadline, (context, writer) =>
          handle({ ...base, ...context, db: createDbWriter(writer, model(), scope) }),
        );
      case "action":
        return deadline.race(handle({ ...base, ...this.#actionContext(call, deadline.signal) }));
    }
  }

  #queryContext(
    base: Readonly<Record<string, unknown>>,
    { watch }: Call,
    scope: Parameters<typeof createDbReader>[2],
    reader: Reader,
  ): Record<string, unknown> {
    const { model, platform } = this.#services;
    const chance = new RunChance(watch?.seed, platform);
    const watched = watch?.begin(reader) ?? reader;
    const context = {
      ...base,
      now: scope.now,
      random: () => chance.random(),
      uuid: () => chance.uuid(),
      db: createDbReader(watched, model(), scope),
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

  /**
   * Runs a mutation. One that returns what it does not declare, or what JSON can't carry, is undone
   * like any other that fails.
   */
  async #mutate(
    name: string,
    call: Call,
    deadline: Deadline,
    handle: (context: Record<string, unknown>, writer: Writer) => Promise<EncodedResult>,
  ): Promise<EncodedResult> {
    const { committer, platform, queue, workflows } = this.#services;
    let encoded: EncodedResult | undefined;
    let scheduled: readonly number[] = [];
    const { result, replayed } = await committer.commit(
      {
        caller: call.caller,
        policies: "bypassed",
        op: call.op,
        signal: deadline.signal,
        shared: call.isInBackground === true ? `function ${name}` : undefined,
      },
      async (writer) => {
        const scheduler = new TransactionScheduler(queue, platform, writer.transaction);
        const started = new TransactionWorkflows(workflows, platform, writer.transaction);
        const context = {
          workflows: started,
          job: call.job === undefined ? null : jobInfoOf(call.job),
          stream: call.stream ?? SILENT,
          scheduler,
        };
        encoded = await handle(context, writer);
        await scheduler.close();
        await call.beforeCommit?.(writer.transaction, encoded);
        scheduled = [...scheduler.times, ...started.times];
        return encoded.value;
      },
    );
    if (!replayed) queue.wake(scheduled);
    return replayed || encoded === undefined ? encodeResult(result) : encoded;
  }

  /**
   * What a caller learns of a bug of the app: nothing of the error itself, whose text may hold a
   * path, a query or somebody's data. In dev mode the caller is the developer.
   */
  #handlerError(error: unknown, { requestId, isForOperators = false }: Call): PylonError {
    const isTold = this.#services.dev || isForOperators;
    const text = isTold ? `: ${describeThrown(error)}` : "";
    return new PylonError("HANDLER_ERROR", `Internal handler error${text}`, {
      hint: `The server's log has the reason under request ${requestId}.`,
    });
  }

  #baseContext(call: Call, signal: AbortSignal): Record<string, unknown> {
    const { caller, requestId } = call;
    return {
      auth: {
        userId: caller.userId,
        isAdmin: caller.isAdmin,
        isGuest: caller.isGuest,
        tenantId: caller.tenantId,
        roles: caller.roles,
      },
      env: this.#services.env,
      cache: this.#services.cache,
      requestId,
      signal,
      error: callerError,
    };
  }

  /**
   * An action calls other functions, internal ones too, each on its own; they act for the same
   * user, but never as the admin.
   */
  #callers(call: Call, signal: AbortSignal): FunctionCallers {
    const runAs = (type: FnDefinition["type"]) => async (name: string, args?: unknown) => {
      const definition = this.definitionOf(name, type);
      const { value } = await this.run(name, definition, args ?? {}, {
        caller: { ...call.caller, isAdmin: false },
        readerShare: call.readerShare,
        requestId: call.requestId,
        signal,
      });
      return value;
    };
    return {
      runQuery: runAs("query"),
      runMutation: runAs("mutation"),
      runAction: runAs("action"),
    };
  }

  #actionContext(call: Call, signal: AbortSignal): Record<string, unknown> {
    const { queue, workflows, platform, store } = this.#services;
    const transact = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => store.transact(work);
    return {
      ...this.#callers(call, signal),
      job: call.job ?? null,
      stream: call.stream ?? SILENT,
      scheduler: new ActionScheduler(queue, platform, transact),
      workflows: new ActionWorkflows(workflows, queue, platform, transact),
      ...(call.request === undefined ? {} : { request: call.request }),
    };
  }
}

function jobInfoOf({ id, attempt, batch }: ActionJob): JobInfo {
  return { id, attempt, batch };
}

/**
 * What a handler throws goes through the store, which looks at its class. A Proxy runs code of the
 * app when it is looked at, and may throw once more from there; it is no error that anybody needs.
 *
 * @throws what the handler throws
 */
async function askHandler(handler: () => unknown): Promise<unknown> {
  try {
    return await handler();
  } catch (error) {
    const { types } = await import("node:util");
    throw types.isProxy(error) ? new TypeError("The handler threw a Proxy.") : error;
  }
}

/** Ends a call when its time is up or its client is gone. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: Timer;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuter = (): void => this.#controller.abort(this.#outer?.reason);

  constructor(
    name: string,
    timeoutMs: number,
    outer: AbortSignal | undefined,
    { after }: Platform,
  ) {
    const reason = new PylonError(
      "FN_TIMEOUT",
      `"${name}" took longer than ${timeoutMs / 1000} s.`,
      { hint: "Nothing of a mutation was kept. Split the work, or raise PYLON_FN_CALL_TIMEOUT." },
    );
    this.#timer = after(timeoutMs, () => this.#controller.abort(reason));
    this.#outer = outer;
    if (outer?.aborted === true) this.#onOuter();
    else outer?.addEventListener("abort", this.#onOuter, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      work.then(resolve, reject);
    });
  }

  clear(): void {
    this.#timer.cancel();
    this.#outer?.removeEventListener("abort", this.#onOuter);
  }
}

/** `ctx.error`: the one way for a handler to make an error that its caller may see. */
function callerError(code: unknown, message: unknown): PylonError {
  if (typeof code !== "string" || code === "")
    throw new TypeError("ctx.error takes a code, such as SOLD_OUT, and a message.");
  return new PylonError(code, String(message ?? code));
}
