import type { ShardDefinition } from "@pylonsync/functions";
import { SHARD_BACKLOG_BYTES, type CloseCode } from "@pylonsync/protocol";
import type { CallResult } from "@pylonsync/functions/simulation";
import type { Platform } from "../platform.ts";
import { checkInput } from "./input-gate.ts";
import type { RunningShard, SentWith, StateOnStop, ShardObserver } from "./running-shard.ts";
import { unpackFrames } from "./frame-pack.ts";
import type { ShardConnection, ShardOutlet } from "./shard-connection.ts";
import { nameOf } from "./shard-host.ts";
import {
  receivedError,
  type ShardSource,
  type ShardThread,
  type ThreadEvent,
  type ThreadFrame,
  type ThreadReport,
  type ToThread,
} from "./thread-messages.ts";

/** The number of unanswered checks, one per second, after which a thread is ended. */
const MAX_SILENT_CHECKS = 3;
/** The same limit while it starts, because `init` may take long. */
const MAX_STARTING_CHECKS = 30;

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A message that requests an answer, without its call number. */
type Asked<Kind extends ToThread["kind"]> = Omit<
  Extract<ToThread, { readonly kind: Kind; readonly call: number }>,
  "call"
>;

/** The parameters for starting a shard on its own thread. */
export interface IsolatedStart {
  readonly id: string;
  readonly definition: ShardDefinition;
  readonly source: ShardSource;
  /** The saved state; null: begin a new shard. */
  readonly saved: string | null;
  readonly thread: ShardThread;
  readonly platform: Platform;
  readonly observer: ShardObserver;
}

/**
 * A shard on its own thread. Connections and the checks of inputs are on the server's thread; the
 * shard's thread reports the results with each step. If the thread does not respond, only this
 * shard is ended.
 */
export class IsolatedShard implements RunningShard {
  readonly id: string;
  readonly name: string;
  readonly #thread: ShardThread;
  readonly #platform: Platform;
  readonly #observer: ShardObserver;
  readonly #numbers = new Map<ShardConnection, number>();
  readonly #connections = new Map<number, ShardConnection>();
  /** Connections with a backlog that was reported to the thread. */
  readonly #slow = new Set<number>();
  /** Connections whose frames are dropped until the thread has answered "missed". */
  readonly #missing = new Set<number>();
  readonly #calls = new Map<number, Call>();
  #definition: ShardDefinition;
  #report: Omit<ThreadReport, "frames" | "events"> = { tick: 0, players: 0, queued: 0 };
  /** The number of inputs since the last report, which count as queued. */
  #posted = 0;
  #seq = 0;
  #lastNumber = 0;
  #silentChecks = 0;
  #hasStarted = false;
  #isRunning = true;
  #isDisposed = false;

  private constructor({ id, definition, thread, platform, observer }: IsolatedStart) {
    this.id = id;
    this.name = nameOf(id);
    this.#definition = definition;
    this.#thread = thread;
    this.#platform = platform;
    this.#observer = observer;
    thread.onMessage = (report) => this.#received(report);
    thread.onEnd = (error) => this.#lost("crashed", error);
  }

  /**
   * Starts a shard on its own thread.
   *
   * @throws the error that its `init` or the loading of its file throws
   */
  static async start(start: IsolatedStart): Promise<IsolatedShard> {
    const { id, source, saved, platform, observer } = start;
    const shard = new IsolatedShard(start);
    const isRecorded = observer.recorded !== undefined;
    // Until it is running, nothing else checks it.
    const watch = platform.every(1_000, () => shard.check()).unref();
    try {
      await shard.#ask({ kind: "start", id, source, saved, isRecorded });
      shard.#hasStarted = true;
      return shard;
    } catch (error) {
      shard.#isRunning = false;
      shard.dispose();
      throw error;
    } finally {
      watch.cancel();
    }
  }

  get definition(): ShardDefinition {
    return this.#definition;
  }
  get isRunning(): boolean {
    return this.#isRunning;
  }
  get tick(): number {
    return this.#report.tick;
  }
  get players(): number {
    return Math.max(this.#report.players, this.isEmpty ? 0 : 1);
  }
  get queued(): number {
    return this.#report.queued + this.#posted;
  }
  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  connections(): Iterable<ShardConnection> {
    return [...this.#connections.values()];
  }

  connectionOf(playerId: string): ShardConnection | undefined {
    return [...this.#connections.values()].find(
      ({ player, role }) => player.id === playerId && role === "player",
    );
  }

  replace(definition: ShardDefinition): void {
    this.#definition = definition;
    this.#thread.post({ kind: "replace" });
  }

  async save(): Promise<string> {
    return String(await this.#ask({ kind: "save" }));
  }

  async join(connection: ShardConnection): Promise<void> {
    const number = (this.#lastNumber += 1);
    this.#connections.set(number, connection);
    this.#numbers.set(connection, number);
    const { player, outlet, role } = connection;
    const { takesDeltas, rate = null } = outlet;
    try {
      await this.#ask({ kind: "join", connection: number, player, takesDeltas, rate, role });
    } catch (error) {
      this.#forget(connection);
      throw error;
    }
  }

  leave(connection: ShardConnection): void {
    connection.closed();
    const number = this.#forget(connection);
    if (number !== undefined) this.#thread.post({ kind: "leave", connection: number });
  }

  input(connection: ShardConnection, input: unknown, sent: SentWith): number {
    checkInput(this, connection, input, this.#platform.monotonic());
    const number = this.#numbers.get(connection);
    if (number !== undefined) this.#thread.post({ kind: "input", connection: number, input, sent });
    this.#posted += 1;
    return (this.#seq += 1);
  }

  settle(result: CallResult): void {
    if (this.#isRunning && !this.#isDisposed) this.#thread.post({ kind: "settle", result });
  }

  async kick(playerId: string, reason: string): Promise<boolean> {
    return (await this.#ask({ kind: "kick", playerId, reason })) === true;
  }

  /** Requests a report, to find out whether the thread responds. */
  check(): void {
    if (this.#isDisposed) return;
    this.#silentChecks += 1;
    const limit = this.#hasStarted ? MAX_SILENT_CHECKS : MAX_STARTING_CHECKS;
    if (this.#silentChecks > limit)
      return this.#lost("stuck", new Error(`Its thread has not responded for ${limit} s.`));
    this.#reportBacklogs();
    this.#thread.post({ kind: "check" });
  }

  stop(code: CloseCode, reason: string): void {
    this.#isRunning = false;
    for (const connection of this.connections()) connection.close(code, reason);
    this.#connections.clear();
    this.#numbers.clear();
    if (!this.#isDisposed) this.#thread.post({ kind: "stop" });
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#thread.terminate();
    const error = new Error("The thread of the shard was terminated.");
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }

  #ask(message: Asked<"start"> | Asked<"join"> | Asked<"kick"> | Asked<"save">): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#isDisposed) reject(new Error("The thread of the shard was terminated."));
    else {
      const call = (this.#lastNumber += 1);
      this.#calls.set(call, { resolve, reject });
      this.#thread.post({ ...message, call });
    }
    return promise;
  }

  #forget(connection: ShardConnection): number | undefined {
    const number = this.#numbers.get(connection);
    if (number === undefined) return undefined;
    this.#numbers.delete(connection);
    this.#connections.delete(number);
    this.#slow.delete(number);
    this.#missing.delete(number);
    return number;
  }

  #received({ frames, events, ...report }: ThreadReport): void {
    if (this.#isDisposed) return;
    this.#report = report;
    this.#posted = 0;
    this.#silentChecks = 0;
    for (const frame of frames) this.#send(frame);
    this.#reportBacklogs();
    for (const event of events) this.#happened(event);
  }

  #send(frame: ThreadFrame): void {
    if ("pack" in frame) {
      unpackFrames(frame.pack, (to, bytes) =>
        this.#sendTo(to, (outlet) => outlet.sendBytes(bytes)),
      );
      return;
    }
    const connection = this.#connections.get(frame.to);
    if (connection === undefined || !connection.isOpen) return;
    if ("close" in frame) {
      connection.close(frame.close, frame.reason);
      this.#forget(connection);
      return;
    }
    if ("isResumed" in frame) {
      this.#missing.delete(frame.to);
      return;
    }
    this.#sendTo(frame.to, (outlet) => {
      if ("text" in frame) outlet.sendText(frame.text);
      else outlet.sendView(frame.tick, frame.view);
    });
  }

  /** Calls `send`, unless the frame must be dropped. */
  #sendTo(to: number, send: (outlet: ShardOutlet) => void): void {
    const connection = this.#connections.get(to);
    if (connection === undefined || !connection.isOpen || this.#missing.has(to)) return;
    const { outlet } = connection;
    // The thread learns of a backlog too late to skip these steps. The socket would drop them
    // without notice, and the client could not apply the next delta.
    if (outlet.backlog() > SHARD_BACKLOG_BYTES) {
      this.#missing.add(to);
      this.#slow.add(to);
      this.#observer.leftOut(this.name);
      this.#thread.post({ kind: "missed", connection: to });
      return;
    }
    send(outlet);
    if (outlet.backlog() > 0) this.#slow.add(to);
  }

  /** Reports backlogs to the thread, which skips steps for slow readers. */
  #reportBacklogs(): void {
    for (const number of this.#slow) {
      const bytes = this.#connections.get(number)?.outlet.backlog() ?? 0;
      if (bytes === 0) this.#slow.delete(number);
      this.#thread.post({ kind: "backlog", connection: number, bytes });
    }
  }

  #happened(event: ThreadEvent): void {
    const [{ id, name }, observer] = [this, this.#observer];
    switch (event.kind) {
      case "answer":
        return this.#take(event.call)?.resolve(event.value);
      case "failure":
        return this.#take(event.call)?.reject(receivedError(event.error));
      case "stepped":
        return observer.stepped(name, event.ms, event.sent);
      case "overran":
        return observer.overran(name);
      case "left out":
        return observer.leftOut(name);
      case "throttled":
        return observer.throttled(id, event.ms);
      case "failed":
        return observer.failed(id, event.where, receivedError(event.error));
      case "recorded":
        return observer.recorded?.(id, event.step);
      case "replay":
        return observer.replay(id, event.piece);
      case "schedule":
        return observer.schedule(id, { name: event.name, args: JSON.parse(event.args) });
      case "call":
        return observer.call(this, event.requested);
      case "logged":
        return observer.logged(id, event.line);
      case "ended":
        return this.#ended(event.fate);
    }
  }

  #take(call: number): Call | undefined {
    const known = this.#calls.get(call);
    this.#calls.delete(call);
    return known;
  }

  #lost(why: "stuck" | "crashed", error: unknown): void {
    if (this.#isDisposed) return;
    this.dispose();
    this.#observer.threadEnded(this.id, why, error);
    if (this.#hasStarted) this.#ended("restart");
  }

  #ended(fate: StateOnStop): void {
    if (this.#isRunning) this.#observer.ended(this, fate);
  }
}
