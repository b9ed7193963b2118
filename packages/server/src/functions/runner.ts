import { parseArgs, type FnDefinition } from "@pylonsync/functions";
import type { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS } from "../identity/identity.ts";
import { currentOperation, reasonOf, runIn, type Operation } from "../observe/operation.ts";
import type { Reader, ReadLimits } from "../store/store.ts";
import { handlerError, outcomeOf, shownOf } from "./call-failure.ts";
import type { Call, RunningCall } from "./call.ts";
import { createDbReader, createDbWriter, type DbScope } from "./db.ts";
import { Deadlines } from "./deadline.ts";
import { encodeResult, type EncodedResult } from "./encode-result.ts";
import { asksForCaller, checkCaller, checkPolicyOf, hasPolicy } from "./function-auth.ts";
import { callersFor, type FunctionCallers } from "./function-callers.ts";
import type { Isolate } from "./isolation.ts";
import { FunctionTable } from "./function-table.ts";
import { RunContexts, type RunContext } from "./run-contexts.ts";
import { TransactionParts } from "./transaction-parts.ts";
import { runHandler } from "./run-handler.ts";
import type { RunnerServices } from "./runner-services.ts";
import { CallTrace, SUCCEEDED, type TraceOutcome } from "./traces.ts";

/** Arguments that a webhook's action receives without declaring them. */
const OF_WEBHOOK = { supplied: ["rawBody"] };
const NO_OPTIONS = { supplied: [] };

/** A handler that blocks the thread for longer than this is reported, in milliseconds. */
const BLOCKED_MS = 1_000;

/** Runs an app's queries, mutations and actions. */
export class Runner {
  readonly #services: RunnerServices;
  readonly #contexts: RunContexts;
  readonly #table: FunctionTable;
  readonly #deadlines: Deadlines;

  constructor(services: RunnerServices) {
    this.#services = services;
    this.#deadlines = new Deadlines(services.platform);
    this.#table = new FunctionTable(services.functions, services.dev);
    this.#contexts = new RunContexts(services, ({ call, deadline }) =>
      callersFor(this, call, deadline),
    );
  }

  /**
   * Returns the function with this name if it may be called from outside.
   *
   * @throws PylonError FUNCTIONS_NOT_AVAILABLE, FN_NOT_FOUND
   */
  find(name: string): FnDefinition {
    return this.#table.find(name);
  }

  /**
   * Returns the function with this name and type, even an internal one.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH
   */
  definitionOf(name: string, type: FnDefinition["type"]): FnDefinition {
    return this.#table.definitionOf(name, type);
  }

  /**
   * Runs a function. A mutation is one transaction, which is rolled back if it throws.
   *
   * @returns the handler's result, with `undefined` as null, and its JSON; a promise of it, unless
   *   it is an action whose handler has returned without waiting
   * @throws PylonError INVALID_ARGS, FN_TIMEOUT, the errors of `ctx.error` and `ctx.db` that the
   *   handler throws, and HANDLER_ERROR for any other error and for a result that is not JSON
   */
  run(
    name: string,
    definition: FnDefinition,
    rawArgs: unknown,
    call: Call,
  ): EncodedResult | Promise<EncodedResult> {
    const outer = currentOperation()?.span ?? null;
    const span =
      outer?.child(`function ${name}`, "internal", {
        "pylon.function": name,
        "pylon.function.type": definition.type,
      }) ?? null;
    const { isolation, platform } = this.#services;
    const isIsolated = isolation.isIsolated(name, definition);
    const trace = new CallTrace(
      {
        request_id: call.requestId,
        fn_name: name,
        fn_type: definition.type,
        user_id: call.caller.userId,
        isolated: isIsolated,
      },
      platform,
    );
    const operation: Operation = {
      requestId: call.requestId,
      where: `function ${name}`,
      span: span ?? outer,
      console: trace,
    };
    const deadline = this.#deadlines.start(name, this.#timeoutOf(definition, call), call.signal);
    const running: RunningCall = { name, definition, call, trace, deadline, isIsolated };
    return runIn(operation, () => this.#run(running, rawArgs, span));
  }

  /** Returns methods that call functions of the app by name, also internal ones, anonymously. */
  callers(
    call: Pick<Call, "readerShare" | "requestId" | "startedBy">,
    signal: AbortSignal,
  ): FunctionCallers {
    return callersFor(this, { ...call, caller: ANONYMOUS }, { signal });
  }

  #run(
    running: RunningCall,
    rawArgs: unknown,
    span: Operation["span"],
  ): EncodedResult | Promise<EncodedResult> {
    const { name, definition, call, isIsolated } = running;
    this.#services.observer.started(name, isIsolated);
    try {
      // A rejection of one caller is not the result for another.
      if (asksForCaller(definition)) call.watch?.readCaller();
      if (call.isTrusted !== true) checkCaller(name, definition, call.caller);
      const args = parseArgs(
        definition,
        rawArgs,
        call.request === undefined ? NO_OPTIONS : OF_WEBHOOK,
      );
      const result = this.#invoke(running, args);
      if (result instanceof Promise)
        return result.then(
          (value) => this.#succeeded(running, span, value),
          (thrown: unknown) => {
            throw this.#failed(running, span, thrown);
          },
        );
      return this.#succeeded(running, span, result);
    } catch (thrown) {
      return Promise.reject(this.#failed(running, span, thrown));
    }
  }

  #succeeded(running: RunningCall, span: Operation["span"], result: EncodedResult): EncodedResult {
    this.#ended(running, span, SUCCEEDED, "ok");
    return result;
  }

  /** @returns the error for the caller */
  #failed(running: RunningCall, span: Operation["span"], thrown: unknown): PylonError {
    const { name, definition, call } = running;
    const { dev, observer } = this.#services;
    const { refusal, error } = shownOf(definition, thrown);
    span?.fail(reasonOf(error));
    const outcome = refusal === undefined ? "failed" : "refused";
    this.#ended(running, span, outcomeOf(refusal, error), outcome);
    if (refusal !== undefined) return refusal;
    observer.failed(name, call.requestId, error);
    return handlerError(error, call.requestId, dev || call.isForOperators === true);
  }

  #ended(
    { name, definition, trace, deadline, isIsolated }: RunningCall,
    span: Operation["span"],
    traced: TraceOutcome,
    outcome: "ok" | "refused" | "failed",
  ): void {
    const { observer, traces } = this.#services;
    deadline.clear();
    span?.end();
    traces.add(trace, traced);
    observer.ended(name, definition.type, outcome, trace.durationMs, isIsolated);
  }

  /** Runs an isolated function in its process, which is acquired before a transaction begins. */
  #invoke(running: RunningCall, args: unknown): EncodedResult | Promise<EncodedResult> {
    if (running.isIsolated && running.call.isolate === undefined)
      return this.#invokeIsolated(running, args);
    switch (running.definition.type) {
      case "query":
        return this.#query(running, args);
      case "mutation":
        return this.#mutation(running, args);
      case "action":
        return this.#action(running, args);
    }
  }

  async #invokeIsolated(running: RunningCall, args: unknown): Promise<EncodedResult> {
    const { name, definition, call, deadline } = running;
    const { isolation } = this.#services;
    const isolate = await isolation.enter(name, definition, call.requestId, deadline);
    try {
      return await this.#invoke({ ...running, call: { ...call, isolate } }, args);
    } finally {
      isolate.release();
    }
  }

  #query(running: RunningCall, args: unknown): Promise<EncodedResult> {
    const { definition, call, deadline } = running;
    const scope = this.#dbScope(running);
    return this.#services.store.snapshot(
      async (reader) => {
        const watched = call.watch?.begin(reader) ?? reader;
        const db = createDbReader(watched, this.#services.model(), scope);
        const run = this.#contexts.query(running, scope.now, db);
        return this.#handle(running, args, run, scope.now, watched);
      },
      readLimits(call, this.#timeoutOf(definition, call)),
      deadline,
    );
  }

  /**
   * Runs a mutation. One that returns a value that it does not declare, or that is not JSON, is
   * rolled back like any other that fails.
   */
  async #mutation(running: RunningCall, args: unknown): Promise<EncodedResult> {
    const { committer, platform, queue } = this.#services;
    const { name, call, deadline } = running;
    const scope = this.#dbScope(running);
    let encoded: EncodedResult | undefined;
    let scheduled: readonly number[] = [];
    const { result, replayed } = await committer.commit(
      {
        caller: call.caller,
        policies: "bypassed",
        op: call.op,
        signal: deadline,
        shared: call.isInBackground === true ? `function ${name}` : undefined,
      },
      async (writer) => {
        const parts = new TransactionParts(this.#services, running, writer.transaction);
        try {
          const startedAt = platform.monotonic();
          const db = createDbWriter(writer, this.#services.model(), scope);
          const { context, auth } = this.#contexts.mutation(running, scope.now, parts, db);
          const run = { auth, context: this.#contexts.watched(running, args, context) };
          encoded = await this.#handle(running, args, run, scope.now, writer);
          call.handled?.(platform.monotonic() - startedAt);
          const closing = parts.close();
          if (closing !== undefined) await closing;
          if (call.beforeCommit !== undefined) await call.beforeCommit(writer.transaction, encoded);
          scheduled = parts.times;
          return encoded.value;
        } finally {
          parts.end();
        }
      },
    );
    if (!replayed) queue.wake(scheduled);
    return replayed || encoded === undefined ? encodeResult(result) : encoded;
  }

  #action(running: RunningCall, args: unknown): EncodedResult | Promise<EncodedResult> {
    const { platform, store } = this.#services;
    const now = platform.now();
    const run = this.#contexts.action(running, now);
    return running.deadline.race(this.#handle(running, args, run, now, store));
  }

  #dbScope({ call, trace }: RunningCall): DbScope & { readonly now: number } {
    const { platform } = this.#services;
    return {
      caller: call.caller,
      policies: "bypassed",
      now: platform.now(),
      monotonic: platform.monotonic,
      measure: (op, entity, id, work) => trace.measure(op, entity, id, work),
    };
  }

  /**
   * Evaluates the function's policy and runs the handler.
   *
   * @param reader used if the policy depends on rows
   */
  #handle(
    running: RunningCall,
    args: unknown,
    run: RunContext,
    now: number,
    reader: Pick<Reader, "test">,
  ): EncodedResult | Promise<EncodedResult> {
    const { name, definition, call } = running;
    if (call.isTrusted === true || !hasPolicy(definition)) return this.#call(running, args, run);
    const scope = { caller: call.caller, args, now };
    return checkPolicyOf(name, this.#services.policies(), reader, scope).then(() =>
      this.#call(running, args, run),
    );
  }

  #call(
    running: RunningCall,
    args: unknown,
    run: RunContext,
  ): EncodedResult | Promise<EncodedResult> {
    const { isolate } = running.call;
    return running.isIsolated && isolate !== undefined
      ? this.#callIsolated(isolate, running, args, run)
      : this.#callHere(running, args, run.context);
  }

  #callIsolated(
    isolate: Isolate,
    { name, definition, call, trace, deadline }: RunningCall,
    args: unknown,
    { context, auth }: RunContext,
  ): Promise<EncodedResult> {
    const { env, platform } = this.#services;
    return isolate.run({
      name,
      args,
      context,
      auth,
      secrets: env.secrets(definition.secrets),
      seed: call.watch?.seed ?? platform.uuid(),
      signal: deadline,
      onConsole: (level, text) => trace.printed(level, text),
      onFetch: (host, method) => trace.fetching(host, method),
    });
  }

  /** Runs the handler in this process, and reports one that blocks it. */
  #callHere(
    { name, definition }: RunningCall,
    args: unknown,
    context: object,
  ): EncodedResult | Promise<EncodedResult> {
    const { isolation, platform } = this.#services;
    const started = platform.monotonic();
    const result = runHandler(name, definition, context, args);
    const ms = platform.monotonic() - started;
    if (ms > BLOCKED_MS) isolation.blocked(name, definition, ms);
    return result;
  }

  #timeoutOf({ timeoutSecs }: FnDefinition, { timeoutMs }: Call): number {
    return timeoutMs ?? (timeoutSecs === undefined ? this.#services.timeoutMs : timeoutSecs * 1000);
  }
}

/** Most reads are short and use no share, so its name is only created if it is used. */
function readLimits({ readerShare }: Call, timeoutMs: number): ReadLimits {
  return {
    get caller() {
      return readerShare();
    },
    timeoutMs,
  };
}
