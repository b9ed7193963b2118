import { parseArgs, type FnDefinition } from "@pylonsync/functions";
import type { Writer } from "../data/writer.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import { currentOperation, reasonOf, runIn, type Operation } from "../observe/operation.ts";
import type { Reader, ReadLimits } from "../store/store.ts";
import { handlerError, outcomeOf, shownOf } from "./call-failure.ts";
import type { Call, RunningCall } from "./call.ts";
import { createDbReader, createDbWriter } from "./db.ts";
import { Deadlines, type Deadline } from "./deadline.ts";
import { encodeResult, type EncodedResult } from "./encode-result.ts";
import { asksForCaller, checkCaller, checkPolicyOf, hasPolicy } from "./function-auth.ts";
import { callersFor, type FunctionCallers } from "./function-callers.ts";
import type { Isolate } from "./isolation.ts";
import { FunctionTable } from "./function-table.ts";
import { RunContexts, type BaseContext } from "./run-contexts.ts";
import { TransactionParts } from "./transaction-parts.ts";
import { runHandler } from "./run-handler.ts";
import type { RunnerServices } from "./runner-services.ts";
import { CallTrace, SUCCEEDED, type TraceOutcome } from "./traces.ts";

/** What a webhook's action is given without declaring it. */
const OF_WEBHOOK = { supplied: ["rawBody"] };

/** A handler that holds up the thread for longer than this is told of, in milliseconds. */
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
    this.#contexts = new RunContexts(services, (call, deadline) =>
      callersFor(this, call, deadline),
    );
  }

  /**
   * The function that may be called from outside under this name.
   *
   * @throws PylonError FUNCTIONS_NOT_AVAILABLE, FN_NOT_FOUND
   */
  find(name: string): FnDefinition {
    return this.#table.find(name);
  }

  /**
   * The function of a type, an internal one too.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH
   */
  definitionOf(name: string, type: FnDefinition["type"]): FnDefinition {
    return this.#table.definitionOf(name, type);
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
    const running: RunningCall = { ...call, trace, isIsolated };
    return runIn(operation, () => this.#run(name, definition, rawArgs, running, span));
  }

  /** Calls functions of the app by their names, internal ones too, with nobody signed in. */
  callers(
    call: Pick<Call, "readerShare" | "requestId" | "startedBy">,
    signal: AbortSignal,
  ): FunctionCallers {
    return callersFor(this, { ...call, caller: ANONYMOUS }, { signal });
  }

  async #run(
    name: string,
    definition: FnDefinition,
    rawArgs: unknown,
    call: RunningCall,
    span: Operation["span"],
  ): Promise<EncodedResult> {
    const { dev, observer, traces } = this.#services;
    let outcome: "ok" | "refused" | "failed" = "ok";
    let traced: TraceOutcome = SUCCEEDED;
    const timeoutMs = this.#timeoutOf(definition, call);
    const deadline = this.#deadlines.start(name, timeoutMs, call.signal);
    observer.started(name, call.isIsolated);
    try {
      // What is refused to one caller is not the answer to another.
      if (asksForCaller(definition)) call.watch?.readCaller();
      if (call.isTrusted !== true) checkCaller(name, definition, call.caller);
      const args = parseArgs(definition, rawArgs, call.request === undefined ? {} : OF_WEBHOOK);
      return await this.#invoke(name, definition, args, call, deadline);
    } catch (thrown) {
      const { refusal, error } = shownOf(definition, thrown);
      outcome = refusal === undefined ? "failed" : "refused";
      span?.fail(reasonOf(error));
      traced = outcomeOf(refusal, error);
      if (refusal !== undefined) throw refusal;
      observer.failed(name, call.requestId, error);
      throw handlerError(error, call.requestId, dev || call.isForOperators === true);
    } finally {
      deadline.clear();
      span?.end();
      traces.add(call.trace, traced);
      const { durationMs } = call.trace;
      observer.ended(name, definition.type, outcome, durationMs, call.isIsolated);
    }
  }

  /** Runs it in a process where it is isolated; that is there before a transaction begins. */
  #invoke(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: RunningCall,
    deadline: Deadline,
  ): Promise<EncodedResult> {
    return call.isIsolated && call.isolate === undefined
      ? this.#invokeIsolated(name, definition, args, call, deadline)
      : this.#invokeIn(name, definition, args, call, deadline);
  }

  async #invokeIsolated(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: RunningCall,
    deadline: Deadline,
  ): Promise<EncodedResult> {
    const { signal } = deadline;
    const isolate = await this.#services.isolation.enter(name, call.requestId, signal);
    try {
      return await this.#invokeIn(name, definition, args, { ...call, isolate }, deadline);
    } finally {
      isolate.release();
    }
  }

  #invokeIn(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: RunningCall,
    deadline: Deadline,
  ): Promise<EncodedResult> {
    const { store, model, platform, policies } = this.#services;
    const { measure } = call.trace;
    const scope = { caller: call.caller, now: platform.now(), monotonic: platform.monotonic };
    const mustAsk = call.isTrusted !== true && hasPolicy(definition);
    const makeBase = (): BaseContext => this.#contexts.base(name, definition, call, scope.now);
    const handle = (
      base: BaseContext,
      context: Record<string, unknown>,
      reader: Pick<Reader, "test">,
    ): EncodedResult | Promise<EncodedResult> => {
      const run = (): EncodedResult | Promise<EncodedResult> =>
        call.isIsolated && call.isolate !== undefined
          ? this.#handleIsolated(
              call.isolate,
              { name, definition, args, call, deadline },
              base,
              context,
            )
          : this.#handleHere(name, definition, context, args);
      return mustAsk
        ? checkPolicyOf(name, policies(), reader, { ...scope, args }).then(run)
        : run();
    };
    switch (definition.type) {
      case "query":
        return store.snapshot(
          async (reader) => {
            const watched = call.watch?.begin(reader) ?? reader;
            const db = createDbReader(watched, model(), { ...scope, measure });
            const base = makeBase();
            return handle(base, this.#contexts.query(base, call, deadline, db), watched);
          },
          readLimits(call, this.#timeoutOf(definition, call)),
          deadline.signal,
        );
      case "mutation":
        return this.#mutate(name, call, deadline, async (parts, writer) => {
          const db = createDbWriter(writer, model(), { ...scope, measure });
          const base = makeBase();
          const context = this.#contexts.mutation(base, call, deadline, parts, db);
          return handle(
            base,
            this.#contexts.watched(name, definition, call, args, context),
            writer,
          );
        });
      case "action": {
        const base = makeBase();
        return deadline.race(handle(base, this.#contexts.action(base, call, deadline), store));
      }
    }
  }

  #handleIsolated(
    isolate: Isolate,
    { name, definition, args, call, deadline }: HandlerRun,
    base: BaseContext,
    context: Readonly<Record<string, unknown>>,
  ): Promise<EncodedResult> {
    const { env, platform } = this.#services;
    const { trace } = call;
    return isolate.run({
      name,
      args,
      context,
      auth: base["auth"],
      secrets: env.secrets(definition.secrets),
      seed: call.watch?.seed ?? platform.uuid(),
      signal: deadline.signal,
      onConsole: (level, text) => trace.printed(level, text),
      onFetch: (host, method) => trace.fetching(host, method),
    });
  }

  /** Runs it in this process, and tells of one that keeps everybody waiting. */
  #handleHere(
    name: string,
    definition: FnDefinition,
    context: object,
    args: unknown,
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

  /**
   * Runs a mutation. One that returns what it does not declare, or what JSON can't carry, is undone
   * like any other that fails.
   */
  async #mutate(
    name: string,
    call: RunningCall,
    deadline: Deadline,
    handle: (parts: TransactionParts, writer: Writer) => Promise<EncodedResult>,
  ): Promise<EncodedResult> {
    const { committer, platform, queue } = this.#services;
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
        const parts = new TransactionParts(this.#services, call, writer.transaction);
        try {
          const startedAt = platform.monotonic();
          encoded = await handle(parts, writer);
          call.handled?.(platform.monotonic() - startedAt);
          await parts.close();
          await call.beforeCommit?.(writer.transaction, encoded);
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
}

/** One run of a handler. */
interface HandlerRun {
  readonly name: string;
  readonly definition: FnDefinition;
  readonly args: unknown;
  readonly call: RunningCall;
  readonly deadline: Deadline;
}

/** Most reads are short, and use no share. */
function readLimits({ readerShare }: Call, timeoutMs: number): ReadLimits {
  return {
    get caller() {
      return readerShare();
    },
    timeoutMs,
  };
}
