import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync, rmSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname, extname, join } from "node:path";
import { PylonError } from "@pylonsync/protocol";
import type { EncodedResult } from "../functions/encode-result.ts";
import type { IsolatedRun } from "../functions/isolation.ts";
import { isRecord } from "../util/is-record.ts";
import { endReason } from "../util/own-process.ts";
import { ContextShape, isAuthWatched, type ContextMethod } from "./describe-context.ts";
import type { FrameWriter } from "./frames.ts";
import { ISOLATE_COMMAND } from "./isolate-command.ts";
import type { CallMessage, HostMessage, IsolateMessage, LoadMessage } from "./protocol.ts";
import { RunClaims } from "./run-claims.ts";
import { receivedError, sentError } from "./sent-error.ts";

/** The memory of a process in KiB, in Linux's /proc. */
const MEMORY = /^VmRSS:\s+(\d+) kB$/m;

/** The lowered priority, as a `nice` value. */
const LOW_PRIORITY = 10;

/** The number of runs after which a process is replaced: RunClaims counts to 2^31. */
const MAX_RUNS = 2 ** 30;

/** Callbacks for the state of a process. */
export interface IsolateEvents {
  /** Called when it has loaded the app's functions. */
  ready(): void;
  /** Called when it has ended. */
  ended(reason: string): void;
}

/** A run was withdrawn before it started: it must be run elsewhere. */
export class WithdrawnRun extends Error {
  override readonly name = "WithdrawnRun";
}

/** A run in the process that has not ended. */
interface ActiveRun {
  readonly owner: object;
  readonly isNested: boolean;
  readonly shape: ContextShape;
  readonly call: IsolatedRun;
  /** Runs work in the operation of the run. */
  readonly within: <T>(work: () => T) => T;
  resolve(result: EncodedResult): void;
  reject(error: unknown): void;
  /** The errors of its calls, in case the handler rethrows them. */
  readonly errors: Map<number, unknown>;
  /** The pending requests of `ctx.fetch` by number: the callbacks for their end. */
  readonly fetches: Map<number, (failure: string | null) => void>;
  /** The first failure of a call that the handler does not await. */
  streamFailure: { readonly error: unknown } | null;
}

/** The server's side of a process that runs handlers. */
export class IsolateProcess {
  readonly #child: Bun.Subprocess;
  readonly #load: Omit<LoadMessage, "kind">;
  readonly #claims: RunClaims;
  readonly #events: IsolateEvents;
  /** Null until it has connected. */
  #writer: FrameWriter | null = null;
  readonly #runs = new Map<number, ActiveRun>();
  readonly #asked = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #lastRun = 0;
  /** The shapes of `ctx` that it knows, by number. */
  readonly #shapes = new Map<ContextShape, number>();
  #isReady = false;
  #isConnected = false;
  #hasExited = false;
  #endReason: Error | null = null;

  /**
   * Starts the process, which connects to the socket and sends its name.
   *
   * @param socket the path of a socket that the server listens on
   */
  constructor(
    socket: string,
    name: string,
    load: Omit<LoadMessage, "kind" | "claims">,
    events: IsolateEvents,
  ) {
    const claims = join(dirname(socket), name);
    this.#claims = RunClaims.create(claims);
    this.#load = { ...load, claims };
    this.#events = events;
    this.#child = Bun.spawn([...command(), socket, name], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...load.env, BUN_OPTIONS: `${load.env["BUN_OPTIONS"] ?? ""} --no-orphans`.trim() },
      onExit: (_, code, signal) => {
        const reason = endReason(code, signal);
        rmSync(claims, { force: true });
        this.#endReason ??= crashed(reason);
        this.withdraw();
        this.#hasExited = true;
        this.#endRuns();
        events.ended(reason);
      },
    });
    this.#child.unref();
  }

  /** Called when it has connected. */
  connected(writer: FrameWriter): void {
    this.#writer = writer;
    this.#isConnected = true;
    this.#send({ kind: "load", ...this.#load });
  }

  /** Whether it has loaded the app's functions. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether it has unfinished runs of this owner. */
  isBusyWith(owner: object): boolean {
    for (const run of this.#runs.values()) if (run.owner === owner) return true;
    return false;
  }

  /** Withdraws the runs that have not started: they reject with a WithdrawnRun. */
  withdraw(): void {
    const decided = this.#claims.withdraw(this.#lastRun);
    // The newest first, so that each is put before the later ones where it waits next.
    for (const [run, { isNested, reject }] of [...this.#runs].toReversed()) {
      if (isNested || run <= decided) continue;
      this.#runs.delete(run);
      reject(new WithdrawnRun());
    }
  }

  /** Whether it has nearly used up the numbers of runs. */
  get isWornOut(): boolean {
    return this.#lastRun > MAX_RUNS;
  }

  /** The process's memory in bytes; 0 if the system does not report it in /proc. */
  get memoryBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
      return Number(MEMORY.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  /**
   * Runs a handler, after those that it was sent before. It rejects when the signal aborts; the
   * handler may still be running then.
   *
   * @param owner identifies the call to which the run belongs
   * @param isNested whether another run of the call waits for it
   * @throws WithdrawnRun
   */
  run(
    call: IsolatedRun,
    requestId: string,
    owner: object,
    isNested: boolean,
  ): Promise<EncodedResult> {
    const run = ++this.#lastRun;
    const { name, args, context, auth, secrets, seed, signal } = call;
    const shape = ContextShape.of(context);
    return new Promise<EncodedResult>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#endReason !== null) return reject(isNested ? this.#endReason : new WithdrawnRun());
      const onAbort = (): void => {
        reject(signal.reason);
        this.#send({ kind: "abort", run, reason: sentError(signal.reason) });
      };
      const settle =
        <T>(done: (value: T) => void): ((value: T) => void) =>
        (value) => {
          signal.removeEventListener("abort", onAbort);
          done(value);
        };
      const sent = {
        data: shape.dataOf(context),
        shape: this.#numberOf(shape),
        auth,
        isAuthWatched: isAuthWatched(context),
        secrets,
        seed,
      };
      this.#send({ kind: "run", run, isNested, name, requestId, args, context: sent });
      signal.addEventListener("abort", onAbort, { once: true });
      this.#runs.set(run, {
        owner,
        isNested,
        shape,
        call,
        within: AsyncLocalStorage.snapshot(),
        resolve: settle(resolve),
        reject: settle(reject),
        errors: new Map(),
        fetches: new Map(),
        streamFailure: null,
      });
    });
  }

  /** Returns the number of a shape, which is sent when it is used for the first time. */
  #numberOf(shape: ContextShape): number {
    const known = this.#shapes.get(shape);
    if (known !== undefined) return known;
    const number = this.#shapes.size;
    this.#shapes.set(shape, number);
    this.#send({ kind: "shape", shape: number, methods: shape.methods });
    return number;
  }

  /** Lowers the process's CPU priority below the server's. */
  lowerPriority(): void {
    try {
      setPriority(this.#child.pid, LOW_PRIORITY);
    } catch {
      // It has just ended.
    }
  }

  /** Ends the process immediately. @param reason the error of its runs */
  kill(reason: Error): void {
    this.#endReason ??= reason;
    this.#endCurrentCall(this.#endReason);
    this.#child.kill("SIGKILL");
  }

  /** Rejects the current call. Later ones are withdrawn; earlier ones have sent their results. */
  #endCurrentCall(reason: Error): void {
    this.withdraw();
    const current = [...this.#runs.values()].findLast(({ isNested }) => !isNested)?.owner;
    for (const [run, { owner, reject }] of this.#runs) {
      if (owner !== current) continue;
      this.#runs.delete(run);
      reject(reason);
    }
    this.#rejectAsked(reason);
  }

  /** Called when its connection has ended, after its last message. */
  disconnected(): void {
    this.#isConnected = false;
    this.#endRuns();
  }

  /** Rejects all runs once the process has ended and none of its messages is on the way. */
  #endRuns(): void {
    if (this.#isConnected || !this.#hasExited) return;
    const reason = this.#endReason ?? crashed("unknown");
    for (const { reject } of this.#runs.values()) reject(reason);
    this.#runs.clear();
    this.#rejectAsked(reason);
  }

  #rejectAsked(reason: Error): void {
    for (const { reject } of this.#asked.values()) reject(reason);
    this.#asked.clear();
  }

  #send(message: HostMessage): void {
    if (!this.#child.killed && this.#child.exitCode === null) this.#writer?.send(message);
  }

  /** Handles a message of the process. */
  heard(message: IsolateMessage): void {
    switch (message.kind) {
      case "hello":
        return;
      case "ready":
        this.#isReady = true;
        return this.#events.ready();
      case "unloadable":
        return this.kill(new Error(`The functions can't be loaded: ${message.reason}`));
      case "call":
        return void this.#answer(message);
      case "auth-read":
        return void this.#runs.get(message.run)?.call.context["auth"];
      case "console":
        return this.#runs.get(message.run)?.call.onConsole(message.level, message.text);
      case "fetching":
        return this.#fetching(message);
      case "fetched": {
        const fetches = this.#runs.get(message.run)?.fetches;
        fetches?.get(message.fetch)?.(message.failure);
        fetches?.delete(message.fetch);
        return;
      }
      case "returned":
        return this.#finish(message.run, ({ resolve, reject, streamFailure }) =>
          streamFailure === null
            ? resolve(new JsonResult(message.json))
            : reject(streamFailure.error),
        );
      case "threw":
        return this.#finish(message.run, ({ reject, errors }) => {
          const { error } = message;
          const isOurs = error.call !== undefined && errors.has(error.call);
          reject(isOurs ? errors.get(error.call ?? 0) : receivedError(error));
        });
      case "asked": {
        const asked = this.#asked.get(message.callback);
        this.#asked.delete(message.callback);
        if (message.error !== undefined) asked?.reject(receivedError(message.error));
        else asked?.resolve(message.value);
      }
    }
  }

  #fetching({ run, fetch, host, method }: IsolateMessage & { readonly kind: "fetching" }): void {
    const active = this.#runs.get(run);
    if (active === undefined) return;
    active.fetches.set(
      fetch,
      active.within(() => active.call.onFetch(host, method)),
    );
  }

  #finish(run: number, finish: (active: ActiveRun) => void): void {
    const active = this.#runs.get(run);
    this.#runs.delete(run);
    if (active !== undefined) finish(active);
  }

  async #answer({ run, call, method, as, args, callbacks }: CallMessage): Promise<void> {
    const active = this.#runs.get(run);
    const known = active && methodOf(active, method, as);
    if (active === undefined || known === undefined) return this.#refuse(call, callIsOver(method));
    const given = [...args];
    for (const { index, callback } of callbacks) given[index] = () => this.#ask(callback);
    try {
      const value = await active.within(() => known(...given));
      this.#send({ kind: "answer", call, value });
    } catch (error) {
      active.errors.set(call, error);
      if (method.startsWith("stream.")) active.streamFailure ??= { error };
      this.#refuse(call, error);
    }
  }

  #refuse(call: number, error: unknown): void {
    this.#send({ kind: "refusal", call, error: sentError(error) });
  }

  #ask(callback: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#asked.set(callback, { resolve, reject });
      this.#send({ kind: "ask", callback });
    });
  }
}

/** Returns the method of a path; for `ctx.db`, with the permissions of `as` if it is given. */
function methodOf(
  { shape, call: { context } }: ActiveRun,
  path: string,
  as: object | undefined,
): ContextMethod | undefined {
  if (as === undefined) return shape.methodOf(context, path);
  const known = shape.methodOf(context, "db.as");
  const name = path.slice("db.".length);
  if (known === undefined || !path.startsWith("db.")) return undefined;
  return (...args) => {
    const db = known(as);
    const method: unknown = isRecord(db) && Object.hasOwn(db, name) ? db[name] : undefined;
    if (typeof method !== "function") throw new TypeError(`ctx.db has no method "${name}".`);
    return Reflect.apply(method, db, args);
  };
}

/** A result whose value is parsed on first access. */
class JsonResult implements EncodedResult {
  readonly json: string;

  constructor(json: string) {
    this.json = json;
  }

  get value(): unknown {
    return JSON.parse(this.json);
  }
}

function callIsOver(method: string): Error {
  return new Error(`ctx.${method} was called after the handler had ended: await every call.`);
}

function crashed(reason: string): PylonError {
  return new PylonError("HANDLER_CRASH", `The process of this function ended (${reason}).`, {
    hint: "A mutation was rolled back. The output of the process is in the server's output.",
  });
}

/** The main file, which has the same extension: TypeScript, or JavaScript if bundled. */
const MAIN = join(import.meta.dir, `isolate-main${extname(import.meta.path)}`);

function command(): string[] {
  return Bun.isStandaloneExecutable
    ? [process.execPath, ISOLATE_COMMAND]
    : [process.execPath, MAIN];
}
