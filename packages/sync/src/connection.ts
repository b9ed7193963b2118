import { Backoff } from "./backoff.ts";
import { Emitter } from "./emitter.ts";
import { PylonClientError } from "./errors.ts";
import { isUnreachable, type HttpClient } from "./http.ts";
import type { LocalStore } from "./local-store.ts";
import type { KeptReplica } from "./persistence/disk.ts";
import type { Platform } from "./platform.ts";
import { pullSnapshot } from "./puller.ts";
import { isSame, type ResolvedSession, type Session } from "./session.ts";
import { openPolling } from "./transport/poll.ts";
import { openEventStream } from "./transport/sse.ts";
import type {
  Cursor,
  EndReason,
  LiveConnection,
  PeerMessage,
  TransportEvents,
  TransportType,
} from "./transport/transport.ts";
import { openWebSocket } from "./transport/websocket.ts";
import { withCursor } from "./url.ts";

/** After this time a connection counts as good, and the waits between tries begin anew. */
const STABLE_MS = 5_000;
/** How long a server that may be gone has to answer. */
const PROBE_MS = 3_000;

/** `unauthorized`: the session has ended, and nothing happens before somebody signs in. */
export type ConnectionState = "connecting" | "live" | "offline" | "unauthorized";

export interface ConnectionOptions {
  readonly store: LocalStore;
  readonly session: Session;
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly transport: TransportType;
  readonly socketUrl: string;
  readonly pollInterval: number;
  readonly reconnectDelay: number;
  /** A socket or a stream hears everything from now on. */
  readonly onListening: () => void;
  /** Something from another user. */
  readonly onMessage: (message: PeerMessage) => void;
  /** The replica is a snapshot of now. */
  readonly onSnapshot: () => void;
  /** What the replica held is not shown any more. */
  readonly onDrop: () => void;
  /** The replica's cursor moved. */
  readonly onAdvance: () => void;
  /** The server is there again. */
  readonly onOnline: () => void;
}

/**
 * Keeps the replica in step with the server: who am I, a snapshot when there is none to continue,
 * then the live connection, again and again until it is stopped.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  readonly #changed = new Emitter<void>();
  #state: ConnectionState = "connecting";
  #hasReplica = false;
  /** Who the replica is for; null without one. */
  #replicaFor: ResolvedSession | null = null;
  /** It is of an earlier visit. */
  #isKept = false;
  #epoch: string | null = null;
  #live: LiveConnection | null = null;
  #cancelWait: () => void = () => undefined;
  #cancelProbe: (() => void) | null = null;
  /** Each start is a run of its own; what an older run still awaits has no effect. */
  #run = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform, options.reconnectDelay);
  }

  get state(): ConnectionState {
    return this.#state;
  }
  /** Which log the replica is of. */
  get epoch(): string | null {
    return this.#epoch;
  }
  /** Whether the replica holds what the server had at some time. */
  get hasReplica(): boolean {
    return this.#hasReplica;
  }

  /** Whether the replica is of an earlier visit. */
  get isKept(): boolean {
    return this.#isKept;
  }

  onChange(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  start(): void {
    this.stop();
    this.#backoff.reset();
    void this.#connect(this.#run);
  }

  /** Shows what was kept of an earlier visit until the server has told more. */
  restore({ head, rows }: KeptReplica): void {
    if (this.#hasReplica) return;
    const { store } = this.#options;
    store.restore(rows, head.seq, head.schema);
    this.#epoch = head.epoch;
    this.#replicaFor = head.session;
    this.#isKept = true;
    this.#hasReplica = true;
    this.#changed.emit();
  }

  /** Somebody else signs in: the replica is not theirs. */
  forget(): void {
    this.stop();
    this.#dropReplica();
  }

  #dropReplica(): void {
    this.#hasReplica = false;
    this.#replicaFor = null;
    this.#isKept = false;
    this.#options.store.replaceAll([], 0);
    this.#options.onDrop();
    this.#changed.emit();
  }

  stop(): void {
    this.#run += 1;
    this.#live?.close();
    this.#live = null;
    this.#cancelWait();
    this.#cancelProbe?.();
  }

  /**
   * The server has said who is there: what is another's is shown no more, and a live connection
   * asks everything anew.
   */
  follow(session: ResolvedSession): void {
    const isOutdated = this.#replicaFor !== null && !isSame(this.#replicaFor, session);
    this.#dropUnlessFor(session);
    if (isOutdated && this.#state === "live") this.start();
  }

  /**
   * Sends a message over the live connection; without one, or over one that can't, it is dropped.
   */
  send(text: string): void {
    this.#live?.send?.(text);
  }

  /**
   * Something says that the server is gone: unless it answers at once, the connection counts as
   * lost.
   */
  probe(): void {
    const live = this.#live;
    if (this.#state !== "live" || live === null || this.#cancelProbe !== null) return;
    const abort = new AbortController();
    const cancelTimer = this.#options.platform.after(PROBE_MS, () => abort.abort());
    this.#cancelProbe = () => {
      this.#cancelProbe = null;
      cancelTimer();
      abort.abort();
    };
    // The socket may be dead where the network is another one now.
    live.check?.(PROBE_MS);
    this.#options.http.request("GET", "/api/auth/me", undefined, {}, abort.signal).then(
      () => this.#endProbe(live, false),
      (error: unknown) => this.#endProbe(live, isUnreachable(error)),
    );
  }

  #endProbe(live: LiveConnection, isLost: boolean): void {
    // It says nothing about the connection that came after.
    if (live !== this.#live) return;
    this.#cancelProbe?.();
    if (!isLost) return;
    live.close();
    this.#end("lost", this.#run);
  }

  /** Tries at once instead of waiting for the next try. */
  retryNow(): void {
    if (this.#state !== "offline") return;
    this.start();
  }

  async #connect(run: number): Promise<void> {
    const { session, http, store, onSnapshot, onAdvance } = this.#options;
    this.#become("connecting");
    try {
      await session.refresh();
      if (run !== this.#run) return;
      const { resolved } = session;
      // What may be read can have changed since an earlier visit, or with the caller's roles, which
      // no cursor tells.
      if (!this.#hasReplica || this.#isKept || !isSame(this.#replicaFor, resolved)) {
        const snapshot = await pullSnapshot(http);
        if (run !== this.#run) return;
        store.replaceAll(snapshot.events, snapshot.seq, snapshot.schema);
        this.#epoch = snapshot.epoch;
        this.#hasReplica = true;
        this.#replicaFor = resolved;
        this.#isKept = false;
        onSnapshot();
        onAdvance();
        this.#changed.emit();
      }
      this.#live = this.#open(run);
    } catch (error) {
      if (run !== this.#run) return;
      if (error instanceof PylonClientError && error.status === 401) this.#end("unauthorized", run);
      else
        this.#waitAndRetry(run, error instanceof PylonClientError ? error.retryAfter : undefined);
    }
  }

  /** What is of another is not shown for longer than it takes to know. */
  #dropUnlessFor({ userId, tenantId }: ResolvedSession): void {
    const known = this.#replicaFor;
    if (known !== null && (known.userId !== userId || known.tenantId !== tenantId))
      this.#dropReplica();
  }

  #open(run: number): LiveConnection {
    const { platform, session, http, transport, socketUrl, pollInterval } = this.#options;
    const events = this.#events(run);
    const cursor = this.#cursor();
    switch (transport) {
      case "websocket":
        return openWebSocket(withCursor(socketUrl, cursor), session.token, platform, events);
      case "sse": {
        const { search } = new URL(withCursor(`${http.baseUrl}/events`, cursor));
        return openEventStream(`/events${search}`, http, platform, events);
      }
      case "poll":
        return openPolling(() => this.#cursor(), http, platform, pollInterval, events);
    }
  }

  #events(run: number): TransportEvents {
    const { store, platform, transport, onAdvance, onOnline, onListening, onMessage } =
      this.#options;
    let openedAt = Infinity;
    return {
      onOpen: () => {
        openedAt = platform.now();
        this.#become("live");
        onOnline();
      },
      onChanges: (events) => {
        store.applyChanges(events);
        onAdvance();
      },
      onHello: ({ seq, epoch }) => {
        this.#epoch = epoch;
        store.advanceTo(seq);
        onAdvance();
        if (transport !== "poll") onListening();
      },
      onMessage,
      onEnd: (why) => {
        if (platform.now() - openedAt >= STABLE_MS) this.#backoff.reset();
        this.#end(why, run);
      },
    };
  }

  #end(why: EndReason, run: number): void {
    if (run !== this.#run) return;
    this.#live = null;
    this.#cancelProbe?.();
    if (why === "unauthorized") {
      this.#become("unauthorized");
      // Says it to the app: nobody is signed in any more.
      void this.#options.session.refresh().catch(() => undefined);
      return;
    }
    if (why === "resync") this.#hasReplica = false;
    this.#waitAndRetry(run, undefined);
  }

  #waitAndRetry(run: number, retryAfterSeconds: number | undefined): void {
    this.#become("offline");
    const delay = Math.max((retryAfterSeconds ?? 0) * 1000, this.#backoff.next());
    this.#cancelWait = this.#options.platform.after(delay, () => {
      if (run === this.#run) void this.#connect(run);
    });
  }

  #cursor(): Cursor {
    return { seq: this.#options.store.cursor.last_seq, epoch: this.#epoch };
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#changed.emit();
  }
}
