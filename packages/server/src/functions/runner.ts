import { PylonError } from "@pylonsync/protocol";
import { parseArgs, parseResult, type FnCache, type FnDefinition } from "@pylonsync/functions";
import type { Caller } from "../data/caller.ts";
import type { Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import { currentOperation, reasonOf, runIn, startSpan, type Operation } from "../operation.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { createDbReader, createDbWriter } from "./db.ts";

export type Functions = ReadonlyMap<string, FnDefinition>;

/** What a call brings with it. */
export interface Call {
  readonly caller: Caller;
  /** Whose share of the store's readers its queries use. */
  readonly readerShare: string;
  readonly requestId: string;
  /** Makes a retry of a mutation safe. */
  readonly opId?: string | undefined;
  /** The client is gone: nobody waits for the answer. */
  readonly signal?: AbortSignal | undefined;
  readonly stream?: FunctionStream | undefined;
  /** The HTTP request, for a webhook. */
  readonly request?: WebhookRequest | undefined;
}

/** Where `ctx.stream` writes. */
export interface FunctionStream {
  write(text: string): void;
  writeEvent(event: string, text: string): void;
}

export interface WebhookRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawBody: string;
}

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
  /** Told what starts and ends, for metrics, logs and the watchdog. */
  readonly observer: RunObserver;
}

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
    throw new PylonError("FN_NOT_FOUND", `There is no function "${name.slice(0, 80)}".`, {
      hint: "A function is named after its file in functions/.",
    });
  }

  /**
   * Runs a function. A mutation is one transaction: when it throws, it leaves nothing.
   *
   * @returns what the handler returned, `undefined` as null
   * @throws PylonError INVALID_ARGS, FN_TIMEOUT, HANDLER_ERROR, and whatever the handler throws
   *   with a `code`
   */
  run(name: string, definition: FnDefinition, rawArgs: unknown, call: Call): Promise<unknown> {
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

  async #run(
    name: string,
    definition: FnDefinition,
    rawArgs: unknown,
    call: Call,
    span: Operation["span"],
  ): Promise<unknown> {
    const { observer, timeoutMs } = this.#services;
    const started = performance.now();
    let outcome: "ok" | "refused" | "failed" = "ok";
    const deadline = new Deadline(name, timeoutMs, call.signal);
    observer.started(name);
    try {
      const args = parseArgs(definition, rawArgs);
      return await this.#invoke(name, definition, args, call, deadline);
    } catch (error) {
      const refusal = asRefusal(error);
      outcome = refusal === undefined ? "failed" : "refused";
      span?.fail(reasonOf(error));
      if (refusal !== undefined) throw refusal;
      observer.failed(name, call.requestId, error);
      throw new PylonError("HANDLER_ERROR", "Internal handler error", {
        hint: `The server's log has the reason under request ${call.requestId}.`,
      });
    } finally {
      deadline.clear();
      span?.end();
      observer.ended(name, definition.type, outcome, performance.now() - started);
    }
  }

  async #invoke(
    name: string,
    definition: FnDefinition,
    args: unknown,
    call: Call,
    deadline: Deadline,
  ): Promise<unknown> {
    const { store, committer, model, platform } = this.#services;
    const scope = { caller: call.caller, now: platform.now() };
    const base = this.#baseContext(call, deadline.signal);
    // The handler's own types are the app's; here it takes whatever context its type says. A
    // mutation that returns what it does not declare is undone like any other that fails.
    const handler = definition.handler as (context: unknown, args: unknown) => unknown;
    const handle = async (context: unknown): Promise<unknown> =>
      parseResult(definition, (await handler(context, args)) ?? null);
    switch (definition.type) {
      case "query":
        return store.snapshot(
          (reader) => handle({ ...base, db: createDbReader(reader, model(), scope) }),
          { caller: call.readerShare, timeoutMs: this.#services.timeoutMs },
          deadline.signal,
        );
      case "mutation": {
        const op = call.opId === undefined ? undefined : { id: call.opId, purpose: `fn ${name}` };
        const { result } = await committer.commit(
          { caller: call.caller, policies: "bypassed", op, signal: deadline.signal },
          async (writer) => {
            const context = {
              ...base,
              db: createDbWriter(writer, model(), scope),
              stream: call.stream ?? SILENT,
            };
            return handle(context);
          },
        );
        return result;
      }
      case "action":
        return deadline.race(handle({ ...base, ...this.#actionContext(call, deadline.signal) }));
    }
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
      error: (code: string, message: string) => new PylonError(code, message),
    };
  }

  /**
   * An action calls other functions, internal ones too, each on its own; they act for the same
   * user, but never as the admin.
   */
  #actionContext(call: Call, signal: AbortSignal): Record<string, unknown> {
    const runAs = (type: FnDefinition["type"]) => (name: string, args: unknown) => {
      const definition = this.#services.functions().get(name);
      if (definition === undefined)
        throw new PylonError("FN_NOT_FOUND", `There is no function "${name}".`);
      if (definition.type !== type)
        throw new PylonError(
          "FN_TYPE_MISMATCH",
          `"${name}" is a ${definition.type}, not a ${type}.`,
        );
      return this.run(name, definition, args ?? {}, {
        caller: { ...call.caller, isAdmin: false },
        readerShare: call.readerShare,
        requestId: call.requestId,
        signal,
      });
    };
    return {
      stream: call.stream ?? SILENT,
      runQuery: runAs("query"),
      runMutation: runAs("mutation"),
      runAction: runAs("action"),
      ...(call.request === undefined ? {} : { request: call.request }),
    };
  }
}

/** Ends a call when its time is up or its client is gone. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuter = (): void => this.#controller.abort(this.#outer?.reason);

  constructor(name: string, timeoutMs: number, outer: AbortSignal | undefined) {
    const reason = new PylonError(
      "FN_TIMEOUT",
      `"${name}" took longer than ${timeoutMs / 1000} s.`,
      { hint: "Nothing of a mutation was kept. Split the work, or raise PYLON_FN_CALL_TIMEOUT." },
    );
    this.#timer = setTimeout(() => this.#controller.abort(reason), timeoutMs);
    this.#outer = outer;
    if (outer?.aborted === true) this.#onOuter();
    else outer?.addEventListener("abort", this.#onOuter, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  race(work: unknown): Promise<unknown> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      Promise.resolve(work).then(resolve, reject);
    });
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onOuter);
  }
}

/** What was thrown with a code is meant for the caller; the rest is a bug and stays inside. */
function asRefusal(error: unknown): PylonError | undefined {
  if (error instanceof PylonError) return error;
  if (
    !(error instanceof Error) ||
    !("code" in error) ||
    typeof error.code !== "string" ||
    error.code === ""
  )
    return undefined;
  const { field, hint } = error as { field?: unknown; hint?: unknown };
  return new PylonError(error.code, error.message, {
    ...(typeof field === "string" ? { field } : {}),
    ...(typeof hint === "string" ? { hint } : {}),
  });
}
