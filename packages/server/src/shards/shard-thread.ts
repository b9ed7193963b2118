import type { ShardDefinition } from "@pylonsync/functions";
import { CloseCode } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import { FramePacker } from "./frame-pack.ts";
import type { ShardObserver } from "./running-shard.ts";
import { ShardConnection, type ShardOutlet } from "./shard-connection.ts";
import { ShardHost } from "./shard-host.ts";
import { beginOrRestore } from "@pylonsync/functions/simulation";
import {
  sentError,
  type ShardSource,
  type ThreadEvent,
  type ThreadFrame,
  type ThreadPort,
  type ThreadReport,
  type ToThread,
} from "./thread-messages.ts";

/** The messages that are not answered. */
type NotificationKind = "leave" | "input" | "settle" | "check" | "backlog" | "missed" | "stop";
type Message<Kind extends ToThread["kind"]> = Extract<ToThread, { readonly kind: Kind }>;

/** The services that a shard's thread uses. */
export interface ThreadServices {
  readonly port: ThreadPort<ThreadReport, ToThread>;
  readonly platform: Platform;
  /** Loads the code of a shard; called again when its file has changed. */
  readonly load: (source: ShardSource) => Promise<ShardDefinition>;
}

/** The side of an isolated shard that runs on its thread, and sends one report per step. */
export class ThreadedShard {
  readonly #services: ThreadServices;
  readonly #connections = new Map<number, { connection: ShardConnection; outlet: ThreadOutlet }>();
  #frames: ThreadFrame[] = [];
  /** The last binary frames, which follow `#frames`. */
  readonly #packer = new FramePacker();
  #events: ThreadEvent[] = [];
  #host: ShardHost | null = null;
  #source: ShardSource | null = null;
  /** Messages that arrived while code was loading, in order; null if none is loading. */
  #waiting: ToThread[] | null = null;

  constructor(services: ThreadServices) {
    this.#services = services;
    services.port.onMessage = (message) => this.#take(message);
  }

  #take(message: ToThread): void {
    if (this.#waiting === null) this.#receive(message);
    else this.#waiting.push(message);
  }

  #receive(message: ToThread): void {
    if (message.kind === "start") this.#hold(this.#start(message));
    else if (message.kind === "replace") this.#hold(this.#replace());
    else if ("call" in message) void this.#answer(message);
    else this.#notify(message);
    if (message.kind === "check") this.#flush();
    else this.#flushIfAny();
  }

  /** Queues further messages until the work is done. */
  #hold(work: Promise<void>): void {
    this.#waiting = [];
    void work.finally(() => {
      const waiting = this.#waiting ?? [];
      this.#waiting = null;
      this.#flushIfAny();
      for (const message of waiting) this.#take(message);
    });
  }

  async #start({ call, id, source, saved, isRecorded }: Message<"start">): Promise<void> {
    const { load, platform } = this.#services;
    try {
      this.#source = source;
      const simulation = beginOrRestore(id, await load(source), saved, platform);
      this.#host = new ShardHost(id, simulation, platform, this.#observer(isRecorded));
      this.#events.push({ kind: "answer", call, value: null });
    } catch (error) {
      this.#events.push({ kind: "failure", call, error: sentError(error) });
    }
  }

  async #replace(): Promise<void> {
    if (this.#source === null) return;
    try {
      this.#host?.replace(await this.#services.load(this.#source));
    } catch (error) {
      this.#failed("loading", error);
    }
  }

  async #answer(message: Message<"join" | "kick" | "save">): Promise<void> {
    const { call } = message;
    try {
      const value = await this.#do(message);
      this.#events.push({ kind: "answer", call, value });
    } catch (error) {
      this.#events.push({ kind: "failure", call, error: sentError(error) });
    }
    this.#flushIfAny();
  }

  #do(message: Message<"join" | "kick" | "save">): Promise<unknown> {
    const host = this.#host;
    if (host === null) throw new Error("The shard has not started.");
    if (message.kind === "join") return this.#join(host, message);
    if (message.kind === "kick") return host.kick(message.playerId, message.reason);
    return host.save();
  }

  async #join(host: ShardHost, message: Message<"join">): Promise<null> {
    const { connection: id, player, takesDeltas, rate, role } = message;
    const outlet = new ThreadOutlet(id, { takesDeltas, rate }, this.#packer, (frame) =>
      this.#push(frame),
    );
    // The server has checked its identity.
    const connection = new ShardConnection(player, ANONYMOUS_IDENTITY, outlet, role);
    this.#connections.set(id, { connection, outlet });
    try {
      await host.join(connection);
    } catch (error) {
      this.#connections.delete(id);
      throw error;
    }
    return null;
  }

  #notify(message: Message<NotificationKind>): void {
    if (message.kind === "check") return this.#host?.check();
    if (message.kind === "stop") return this.#stop();
    if (message.kind === "settle") return this.#host?.settle(message.result);
    const known = this.#connections.get(message.connection);
    if (known === undefined) return;
    if (message.kind === "input") this.#host?.take(known.connection, message.input, message.sent);
    else if (message.kind === "backlog") known.outlet.waiting = message.bytes;
    else if (message.kind === "missed") {
      this.#host?.missed(known.connection);
      this.#push({ to: message.connection, isResumed: true });
    } else {
      this.#connections.delete(message.connection);
      this.#host?.leave(known.connection);
    }
  }

  /** Stops the shard. The server's thread notifies the clients. */
  #stop(): void {
    for (const { connection } of this.#connections.values()) connection.closed();
    this.#host?.stop(CloseCode.GOING_AWAY, "");
  }

  #observer(isRecorded: boolean): ShardObserver {
    const say = (event: ThreadEvent): void => void this.#events.push(event);
    return {
      during: (_name, work) => work(),
      stepped: (_name, ms, sent) => {
        say({ kind: "stepped", ms, sent });
        this.#flush();
      },
      overran: () => say({ kind: "overran" }),
      throttled: (_id, ms) => say({ kind: "throttled", ms }),
      failed: (_id, where, error) => this.#failed(where, error),
      input: () => undefined,
      leftOut: () => say({ kind: "left out" }),
      schedule: (_id, call) => this.#schedule(call),
      call: (_shard, requested) => say({ kind: "call", requested }),
      logged: (_id, line) => say({ kind: "logged", line }),
      replay: (_id, piece) => say({ kind: "replay", piece }),
      ...(isRecorded ? { recorded: (_id, step) => say({ kind: "recorded", step }) } : {}),
      threadEnded: () => undefined,
      ended: (_host, fate) => say({ kind: "ended", fate }),
    };
  }

  #failed(where: string, error: unknown): void {
    this.#events.push({ kind: "failed", where, error: sentError(error) });
  }

  /** Sends the arguments as JSON text, which reports values that JSON can't represent. */
  #schedule({ name, args }: { readonly name: string; readonly args: object }): void {
    try {
      this.#events.push({ kind: "schedule", name: String(name), args: JSON.stringify(args) });
    } catch (error) {
      this.#failed("schedule", error);
    }
  }

  /** Adds a frame after all others. */
  #push(frame: ThreadFrame): void {
    this.#closePack();
    this.#frames.push(frame);
  }

  #closePack(): void {
    const pack = this.#packer.take();
    if (pack !== null) this.#frames.push({ pack });
  }

  #flushIfAny(): void {
    this.#closePack();
    if (this.#frames.length + this.#events.length > 0) this.#flush();
  }

  #flush(): void {
    const { tick = 0, players = 0, queued = 0 } = this.#host ?? {};
    this.#closePack();
    const [frames, events] = [this.#frames, this.#events];
    this.#frames = [];
    this.#events = [];
    this.#services.port.post({ tick, players, queued, frames, events });
  }
}

/** Represents the transport of a client, which is on the server's thread. */
class ThreadOutlet implements ShardOutlet {
  readonly takesDeltas: boolean;
  readonly rate: number | null;
  /** The backlog of the client in bytes, as last reported by the server's thread. */
  waiting = 0;
  readonly #id: number;
  readonly #packer: FramePacker;
  readonly #send: (frame: ThreadFrame) => void;

  constructor(
    id: number,
    { takesDeltas, rate }: { readonly takesDeltas: boolean; readonly rate: number | null },
    packer: FramePacker,
    send: (frame: ThreadFrame) => void,
  ) {
    this.#id = id;
    this.takesDeltas = takesDeltas;
    this.rate = rate;
    this.#packer = packer;
    this.#send = send;
  }

  sendText(text: string): void {
    this.#send({ to: this.#id, text });
  }
  sendBytes(bytes: Uint8Array): void {
    this.#packer.add(this.#id, bytes);
  }
  sendView(tick: number, view: string): void {
    this.#send({ to: this.#id, tick, view });
  }
  backlog(): number {
    return this.waiting;
  }
  close(code: CloseCode, reason: string): void {
    this.#send({ to: this.#id, close: code, reason });
  }
}
