/**
 * A process that runs handlers for the server. Only a process can be ended regardless of what it
 * does, and only a process returns its memory: Bun ends the thread of a Worker, but enforces none
 * of its memory limits, and a thread that runs out of memory ends the whole process.
 */
import { writeFileSync } from "node:fs";
import { errorMaker, type FnDefinition } from "@pylonsync/functions";
import { loadFunctions } from "../app/load-functions.ts";
import { actingCaller } from "../functions/acting-caller.ts";
import { createFetch } from "../functions/create-fetch.ts";
import { CallLog, type FunctionLog } from "../functions/call-log.ts";
import { captureConsole } from "../functions/console-capture.ts";
import { plainMail } from "../functions/email.ts";
import { functionFetch, type Fetch, type OnFetch } from "../functions/function-fetch.ts";
import { runHandler } from "../functions/run-handler.ts";
import { RunChance } from "../functions/run-chance.ts";
import { secretsOf } from "../functions/secrets.ts";
import { runIn, type Operation } from "../observe/operation.ts";
import { isRecord } from "../util/is-record.ts";
import { systemPlatform } from "../platform.ts";
import type { Diagnostic } from "../schema/diagnostic.ts";
import type { ContextMethod } from "./describe-context.ts";
import { FrameReader, FrameWriter } from "./frames.ts";
import type {
  HostMessage,
  IsolateMessage,
  LoadMessage,
  RunMessage,
  SentContext,
} from "./protocol.ts";
import { RunClaims } from "./run-claims.ts";
import { receivedError, sentError } from "./sent-error.ts";

/**
 * Runs the handlers that the parent process requests, until it ends.
 *
 * @param path the path of the socket that it listens on
 * @param name the name of this process
 */
export async function serveFunctions(path: string, name: string): Promise<void> {
  volunteerForOutOfMemory();
  captureConsole();
  const reader = new FrameReader();
  const socket = await Bun.connect({
    unix: path,
    socket: {
      data: (_, bytes) => {
        // Only the server writes here, and it sends messages of this type.
        for (const message of reader.take(bytes)) void handlers.take(message as HostMessage);
      },
      drain: () => {
        writer.drain();
        handlers.startNext();
      },
      close: () => process.exit(0),
    },
  });
  const writer = new FrameWriter(socket);
  const handlers = new IsolateHandlers(writer);
  writer.send({ kind: "hello", name } satisfies IsolateMessage);
}

/** If a container runs out of memory, Linux ends this process before the server. */
function volunteerForOutOfMemory(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "1000");
  } catch {
    // The system is not Linux, or does not allow it: the server still checks the memory itself.
  }
}

/** The identity of a run. */
interface RunScope {
  readonly run: number;
  readonly name: string;
  readonly definition: FnDefinition;
  readonly requestId: string;
  readonly abort: LazyAbort;
}

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The functions of an app, and their runs that have not ended. */
class IsolateHandlers {
  readonly #writer: FrameWriter;
  #functions: ReadonlyMap<string, FnDefinition> = new Map();
  readonly #diagnostics: Diagnostic[] = [];
  #env: LoadMessage["env"] = {};
  #ask: Fetch = createFetch(false);
  /** The lists of methods, by the numbers that the server assigned. */
  readonly #shapes = new Map<number, readonly RemoteMethod[]>();
  readonly #aborts = new Map<number, LazyAbort>();
  readonly #waiting: { readonly message: RunMessage; readonly abort: LazyAbort }[] = [];
  /** The number of handlers that are running: a function and those that it calls. */
  #running = 0;
  #claims: RunClaims | undefined;
  readonly #pending = new Map<number, PendingCall>();
  readonly #callbacks = new Map<number, () => unknown>();
  /** The server's errors that were passed to handlers, with the calls that failed with them. */
  readonly #failedCalls = new WeakMap<Error, number>();
  #lastId = 0;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  async take(message: HostMessage): Promise<void> {
    switch (message.kind) {
      case "load":
        return this.#load(message);
      case "shape":
        return void this.#shapes.set(message.shape, message.methods.map(remoteMethod));
      case "run":
        return this.#take(message);
      case "abort":
        return this.#aborts.get(message.run)?.abort(receivedError(message.reason));
      case "answer":
        return this.#settle(message.call, ({ resolve }) => resolve(message.value));
      case "refusal": {
        const error = receivedError(message.error);
        this.#failedCalls.set(error, message.call);
        return this.#settle(message.call, ({ reject }) => reject(error));
      }
      case "ask":
        return this.#callBack(message.callback);
    }
  }

  async #load({ root, functionsDir, env, dev, claims }: LoadMessage): Promise<void> {
    this.#env = env;
    this.#claims = RunClaims.open(claims);
    this.#ask = createFetch(dev);
    try {
      const { functions } = await loadFunctions(functionsDir, root, this.#diagnostics);
      this.#functions = functions;
      this.#send({ kind: "ready" });
    } catch (error) {
      this.#send({ kind: "unloadable", reason: sentError(error).message });
    }
  }

  /** Runs start one after another, in the order in which they arrive. */
  #take(message: RunMessage): void {
    const abort = new LazyAbort();
    this.#aborts.set(message.run, abort);
    if (message.isNested) void this.#run(message, abort);
    else {
      this.#waiting.push({ message, abort });
      this.startNext();
    }
  }

  /**
   * Starts the next run once the results of earlier ones are sent: it may block this process
   * forever.
   */
  startNext(): void {
    while (this.#running === 0 && this.#writer.isDrained) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { run } = next.message;
      if (this.#claims?.start(run) === true) void this.#run(next.message, next.abort);
      else this.#aborts.delete(run);
    }
  }

  async #run({ run, name, requestId, args, context }: RunMessage, abort: LazyAbort): Promise<void> {
    this.#running += 1;
    const operation: Operation = {
      requestId,
      where: `function ${name}`,
      span: null,
      console: { printed: (level, text) => this.#send({ kind: "console", run, level, text }) },
    };
    try {
      const definition = this.#functions.get(name);
      if (definition === undefined) throw this.#missing(name);
      const of = { run, name, definition, requestId, abort };
      const ctx = this.#contextOf(of, context);
      const { json } = await runIn(operation, () => runHandler(name, definition, ctx, args));
      this.#send({ kind: "returned", run, json });
    } catch (error) {
      const call = error instanceof Error ? this.#failedCalls.get(error) : undefined;
      this.#send({ kind: "threw", run, error: sentError(error, call) });
    } finally {
      this.#aborts.delete(run);
      this.#running -= 1;
      this.startNext();
    }
  }

  #missing(name: string): Error {
    const reasons = this.#diagnostics.map(({ message }) => ` ${message}`).join("");
    return new Error(`The function "${name}" could not be loaded in its process.${reasons}`);
  }

  #contextOf(
    { run, name, definition, requestId, abort }: RunScope,
    { data, shape, auth, isAuthWatched, secrets, seed }: SentContext,
  ): Record<string, unknown> {
    const chance = new RunChance(seed, systemPlatform);
    const context: Record<string, unknown> = {
      ...data,
      auth,
      requestId,
      env: this.#env,
      get signal() {
        return abort.signal;
      },
      error: errorMaker(definition),
      random: () => chance.random(),
      uuid: () => chance.uuid(),
    };
    this.#addMethods(context, run, this.#shapes.get(shape) ?? []);
    context["secrets"] = secretsOf(name, definition.secrets ?? [], secrets);
    context["log"] = new CallLog(this.#logOf(run), name);
    if (definition.type === "action")
      context["fetch"] = functionFetch(this.#ask, abort, this.#onFetchOf(run));
    if (!isAuthWatched) return context;
    return Object.defineProperty(context, "auth", {
      enumerable: true,
      get: () => {
        this.#send({ kind: "auth-read", run });
        return auth;
      },
    });
  }

  /** Adds the methods that the server executes. */
  #addMethods(
    context: Record<string, unknown>,
    run: number,
    methods: readonly RemoteMethod[],
  ): void {
    let lastPart = "";
    let members: Record<string, unknown> = context;
    for (const method of methods) {
      const { part, name } = method;
      if (part !== lastPart) {
        // Some parts have data as well, which was sent.
        const sent = context[part];
        members = part === "" ? context : isRecord(sent) ? { ...sent } : {};
        if (part !== "") context[part] = members;
        lastPart = part;
      }
      members[name] = this.#methodOf(run, method, methods);
    }
  }

  #methodOf(run: number, { path }: RemoteMethod, all: readonly RemoteMethod[]): ContextMethod {
    if (path === "db.as") return (user) => this.#actingDb(run, all, user);
    if (path === "email.send")
      return (message, ...rest) => this.#call(run, path, [plainMail(message), ...rest]);
    return (...args) => this.#call(run, path, args);
  }

  /** `ctx.db.as`: the same methods, each with the identity whose permissions apply. */
  #actingDb(
    run: number,
    methods: readonly RemoteMethod[],
    user: unknown,
  ): Record<string, ContextMethod> {
    const as = actingCaller(user);
    const db: Record<string, ContextMethod> = {};
    for (const { part, name, path } of methods)
      if (part === "db") db[name] = (...args) => this.#call(run, path, args, as);
    return { ...db, as: (other) => this.#actingDb(run, methods, other) };
  }

  #logOf(run: number): FunctionLog {
    const write =
      (level: string) =>
      (message: string, fields: unknown): void =>
        void this.#call(run, `log.${level}`, [message, fields]);
    const error = write("error");
    return {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: (message, _, fields) => error(message, fields),
    };
  }

  #onFetchOf(run: number): OnFetch {
    return (host, method) => {
      const fetch = ++this.#lastId;
      this.#send({ kind: "fetching", run, fetch, host, method });
      return (failure) => this.#send({ kind: "fetched", run, fetch, failure });
    };
  }

  #call(run: number, method: string, given: readonly unknown[], as?: object): Promise<unknown> {
    const call = ++this.#lastId;
    const callbacks: { index: number; callback: number }[] = [];
    const args = given.map((argument, index) => {
      if (typeof argument !== "function") return argument;
      const callback = ++this.#lastId;
      this.#callbacks.set(callback, () => Reflect.apply(argument, undefined, []));
      callbacks.push({ index, callback });
      return null;
    });
    const answer = new Promise<unknown>((resolve, reject) => {
      // Throws for a value that can't be sent, such as a function nested in an argument.
      this.#send({ kind: "call", run, call, method, as, args, callbacks });
      this.#pending.set(call, { resolve, reject });
    });
    // A failure of a call that is not awaited, such as `ctx.stream.write`, is reported at the end
    // of the run.
    answer.catch(() => undefined);
    return callbacks.length === 0 ? answer : answer.finally(() => this.#forget(callbacks));
  }

  #forget(callbacks: readonly { readonly callback: number }[]): void {
    for (const { callback } of callbacks) this.#callbacks.delete(callback);
  }

  #send(message: IsolateMessage): void {
    this.#writer.send(message);
  }

  #settle(call: number, settle: (pending: PendingCall) => void): void {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (pending !== undefined) settle(pending);
  }

  async #callBack(callback: number): Promise<void> {
    try {
      const value = await this.#callbacks.get(callback)?.();
      this.#send({ kind: "asked", callback, value });
    } catch (error) {
      this.#send({ kind: "asked", callback, error: sentError(error) });
    }
  }
}

/** A method of `ctx` that the server executes. */
interface RemoteMethod {
  /** Such as `db.get`. */
  readonly path: string;
  /** The member of `ctx` that has it, such as `db`; empty for `ctx` itself. */
  readonly part: string;
  readonly name: string;
}

function remoteMethod(path: string): RemoteMethod {
  const dot = path.indexOf(".");
  return dot === -1
    ? { path, part: "", name: path }
    : { path, part: path.slice(0, dot), name: path.slice(dot + 1) };
}

/** The AbortSignal of a run, created on first access: most handlers do not use it. */
class LazyAbort {
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }
}
