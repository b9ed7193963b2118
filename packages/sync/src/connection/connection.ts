import type { EngineBus } from "./events.ts";
import { isUnreachable } from "./answer.ts";
import { Attempts } from "./attempts.ts";
import { PylonClientError } from "./errors.ts";
import type { HttpClient } from "./http.ts";
import type { LocalStore } from "../replica/local-store.ts";
import { ReplicaSchema } from "../replica/replica-schema.ts";
import type { ReplicaState } from "../replica/replica-state.ts";
import { browserTabs } from "../platform/browser-tabs.ts";
import type { Platform } from "../platform/platform.ts";
import { pullSince, pullSnapshot } from "./puller.ts";
import { fingerprint, type ResolvedSession, type Session } from "../session/session.ts";
import { TabGroup, type LiveTabFeed } from "./tabs.ts";
import { openLater } from "./transport/open-later.ts";
import type {
  Cursor,
  EndReason,
  LiveConnection,
  TransportEvents,
  TransportType,
} from "./transport/transport.ts";
import { openWebSocket } from "./transport/websocket.ts";
import type { LazyQueries } from "../queries/lazy-queries.ts";
import type { QueryMode } from "../queries/query-mode.ts";
import { cursorQuery, withCursor } from "./url.ts";

/** How long a server that may be unreachable has to respond, in milliseconds. */
const PROBE_MS = 3_000;
/** The time without traffic, in milliseconds, after which pending work is retried. */
const QUIET_MS = 1_000;
/** `unauthorized`: the session has ended, and nothing is sent until the user signs in. */
export type ConnectionState = "connecting" | "live" | "offline" | "unauthorized";

/** The dependencies and callbacks of a connection. */
export interface ConnectionOptions {
  readonly store: LocalStore;
  readonly replica: ReplicaState;
  readonly session: Session;
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly transport: TransportType;
  readonly socketUrl: string;
  readonly pollInterval: number;
  readonly reconnectDelay: number;
  /** Separates resources that tabs share from those of other apps on the same origin. */
  readonly appName: string;
  /** Identifies this tab. */
  readonly tabId: string;
  readonly events: EngineBus;
  /** Requests single queries instead of a full replica; null for a full replica. */
  readonly live: Pick<LazyQueries, "load" | "mode"> | null;
}

/**
 * Keeps the replica in sync with the server: it loads the session, takes a snapshot if the replica
 * can't be continued, and opens the live connection, repeatedly until it is stopped.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #attempts: Attempts;
  #state: ConnectionState = "connecting";
  #live: LiveConnection | null = null;
  /** The tabs that show the same replica; null before it connects, and if tabs share nothing. */
  #tabs: TabGroup | null = null;
  #triedAt = 0;
  #cancelWait: () => void = () => undefined;
  #cancelProbe: (() => void) | null = null;
  /** The number of the current run. Pending work of an earlier run has no effect. */
  #run = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { platform, transport, reconnectDelay, events } = options;
    this.#attempts = new Attempts(platform, transport, reconnectDelay, () =>
      events.emit({ type: "connection" }),
    );
  }

  get state(): ConnectionState {
    return this.#state;
  }
  /** The transport in use, or about to be. */
  get transport(): TransportType {
    return this.#attempts.transport;
  }
  start(): void {
    this.stop();
    this.#attempts.reset();
    void this.#connect(this.#run);
  }

  /**
   * Updates the replica with a single request, connected or not. A replica of single queries is
   * updated by its subscriptions, so only the session is checked.
   *
   * @throws PylonClientError
   */
  async pull(): Promise<void> {
    const run = this.#run;
    try {
      if (this.#state !== "live" || this.#options.live !== null) {
        await this.#options.session.refresh();
        if (run !== this.#run || this.#options.live !== null) return;
        if ((await this.#takeReplica(run)) || run !== this.#run) return;
      }
      await this.#catchUp(run);
    } catch (error) {
      const isGone = error instanceof PylonClientError && error.status === 410;
      if (!isGone || run !== this.#run) throw error;
      this.#options.replica.outdate();
      if (this.#state === "live") this.start();
      else await this.#takeReplica(run);
    }
  }

  stop(): void {
    this.#run += 1;
    this.#live?.close();
    this.#live = null;
    this.#tabs?.leave();
    this.#tabs = null;
    this.#cancelWait();
    this.#cancelProbe?.();
  }

  /** The session may have other permissions: restarts the live connection. */
  restart(): void {
    if (this.#live !== null) this.start();
  }

  /** Sends a message over the live connection; without one it is dropped. */
  send(text: string): void {
    this.#live?.send?.(text);
  }

  /** Checks a connection that may be dead: unless the server responds soon, it counts as lost. */
  probe(): void {
    const live = this.#live;
    if (this.#state !== "live" || live === null || this.#cancelProbe !== null) return;
    const abort = new AbortController();
    this.#cancelProbe = () => {
      this.#cancelProbe = null;
      abort.abort();
    };
    // After a change of network the socket may be dead.
    live.check?.(PROBE_MS);
    const limits = { signal: abort.signal, timeoutMs: PROBE_MS };
    this.#options.http.request("GET", "/api/auth/me", undefined, {}, limits).then(
      () => this.#endProbe(live, false),
      (error: unknown) => this.#endProbe(live, isUnreachable(error)),
    );
  }

  #endProbe(live: LiveConnection, isLost: boolean): void {
    // The result is not about a later connection.
    if (live !== this.#live) return;
    this.#cancelProbe?.();
    if (!isLost) return;
    live.close();
    this.#end("lost", this.#run);
  }

  /** The network may be back: retries pending work now. */
  retryNow(): void {
    const { platform, http } = this.#options;
    const quietFor = platform.now() - Math.max(this.#triedAt, http.receivedAt);
    if (this.#state === "live") this.probe();
    else if (this.#state === "offline") this.start();
    // Requests from before may never get a response.
    else if (this.#state === "connecting" && quietFor > QUIET_MS) this.start();
  }

  async #connect(run: number): Promise<void> {
    const { session, platform } = this.#options;
    this.#triedAt = platform.now();
    this.#become("connecting");
    try {
      await session.refreshPrepared();
      if (run !== this.#run) return;
      const mode = await this.#options.live?.load();
      if (run !== this.#run) return;
      if (mode !== undefined) this.#options.replica.beginQueries(session.resolved);
      else await this.#takeReplica(run);
      if (run !== this.#run) return;
      const events = this.#events(run);
      const group = this.#tabGroup();
      this.#live =
        group === null
          ? this.#open(events)
          : group.open({
              open: (own) => this.#open(own),
              catchUp: () => this.#catchUp(run),
              events,
              live: mode === undefined ? null : this.#liveTabs(mode, events),
            });
    } catch (error) {
      if (run !== this.#run) return;
      const refusal = error instanceof PylonClientError ? error : undefined;
      if (refusal?.status === 401) this.#end("unauthorized", run);
      else this.#waitAndRetry(run, refusal?.retryAfter);
    }
  }

  /**
   * Takes a snapshot for the current user, unless the replica can be continued.
   *
   * @returns whether it took one
   */
  async #takeReplica(run: number): Promise<boolean> {
    const { resolved } = this.#options.session;
    if (this.#options.replica.continuesFor(resolved)) return false;
    await this.#takeSnapshot(run, resolved);
    return true;
  }

  #liveTabs({ clients, tabs, connect }: QueryMode, events: TransportEvents): LiveTabFeed {
    return {
      connect: (open) => connect(open, clients, events),
      server: tabs,
      onFollow: () => this.#options.replica.leaveWriting(),
    };
  }

  async #takeSnapshot(run: number, resolved: ResolvedSession): Promise<void> {
    const { http, store, replica } = this.#options;
    const snapshot = await pullSnapshot(http);
    if (run !== this.#run) return;
    store.replaceAll(snapshot.events, snapshot.seq, ReplicaSchema.of(snapshot.schema));
    replica.begin(snapshot.epoch, resolved);
  }

  /** The tabs of this browser that are signed in as the same user, with the same token. */
  #tabGroup(): TabGroup | null {
    const { platform, session, http, appName, tabId } = this.#options;
    const { tabs = browserTabs() } = platform;
    if (tabs === null) return null;
    const identity = fingerprint(session.witness + JSON.stringify(session.resolved));
    const kind = this.#options.live === null ? "1" : "queries:1";
    const name = `pylon:tabs:${kind}:${appName}:${http.baseUrl}:${identity}`;
    if (this.#tabs?.name !== name) {
      this.#tabs?.leave();
      this.#tabs = new TabGroup(tabs, name, tabId, platform.after);
    }
    return this.#tabs;
  }

  /** Loads the changes since the replica's cursor with one request. */
  async #catchUp(run: number): Promise<Cursor> {
    const { http, store, events } = this.#options;
    for (;;) {
      const { seq, epoch } = this.#cursor();
      const answer = await pullSince(http, seq, epoch);
      if (run !== this.#run) return this.#cursor();
      store.applyChanges(answer.changes);
      store.advanceTo(answer.cursor.last_seq);
      events.emit({ type: "advance" });
      if (!answer.has_more) return { ...this.#cursor(), epoch: answer.epoch ?? epoch };
    }
  }

  #open(events: TransportEvents): LiveConnection {
    const { platform, session, http, socketUrl, pollInterval } = this.#options;
    const cursor = this.#cursor();
    const mode = this.#options.live?.mode ?? null;
    const open = (): LiveConnection =>
      mode === null
        ? openWebSocket(withCursor(socketUrl, cursor), session.token, platform, events)
        : mode.open(
            this.transport,
            this.#options,
            [...mode.clients, mode.tabs, mode.pushes],
            events,
          );
    if (mode !== null) this.#options.replica.write();
    if (this.transport === "websocket") {
      try {
        return open();
      } catch {
        // Node 20 has no WebSocket, and a page's content security policy may forbid it.
        this.#attempts.fallBack();
      }
    }
    if (mode !== null) return open();
    if (this.transport === "poll")
      return openLater(
        platform,
        async () => {
          const { openPolling } = await import("./extras.ts");
          return () => openPolling(() => this.#cursor(), http, platform, pollInterval, events);
        },
        events,
      );
    return openLater(
      platform,
      async () => {
        const { openEventStream } = await import("./extras.ts");
        const path = `/events?${cursorQuery(cursor)}`;
        return () => openEventStream(path, http, platform, events);
      },
      events,
    );
  }

  #events(run: number): TransportEvents {
    const { store, live, events, replica } = this.#options;
    return {
      onOpen: () => {
        this.#attempts.accepted();
        this.#triedAt = this.#options.platform.now();
        events.emit({ type: "online" });
      },
      onChanges: (changes) => {
        store.applyChanges(changes);
        events.emit({ type: "advance" });
      },
      onHello: ({ seq, epoch, schema }) => {
        this.#attempts.opened();
        if (live === null) {
          replica.describe(epoch);
          store.advanceTo(seq);
          events.emit({ type: "advance" });
        } else if (schema !== undefined) store.describe(ReplicaSchema.of(schema));
        replica.refresh();
        // Not earlier: broadcasts during the server's catch-up are not received here.
        this.#become("live");
        if (live !== null || this.transport !== "poll") events.emit({ type: "listening" });
      },
      onMessage: (message) => events.emit({ type: "message", message }),
      onEnd: (why) => {
        this.#attempts.ended(why);
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
      // Reports to the app that the session has ended.
      void this.#options.session.refresh().catch(() => undefined);
    } else if (why === "closed") void this.#confirmEnd(run);
    else {
      if (why === "resync") this.#options.replica.outdate();
      this.#waitAndRetry(run, undefined);
    }
  }

  /** Only a 401 of the server itself ends a session; a close code may come from a proxy. */
  async #confirmEnd(run: number): Promise<void> {
    const { session } = this.#options;
    const { userId } = session.resolved;
    this.#become("connecting");
    const isOver = await session.refresh().then(
      // For an expired cookie, the server returns an anonymous session.
      (now) => userId !== null && now.userId === null,
      (error: unknown) => error instanceof PylonClientError && error.status === 401,
    );
    if (run !== this.#run) return;
    if (isOver) this.#become("unauthorized");
    else this.#waitAndRetry(run, undefined);
  }

  #waitAndRetry(run: number, retryAfterSeconds: number | undefined): void {
    this.#become("offline");
    const delay = Math.max((retryAfterSeconds ?? 0) * 1000, this.#attempts.next());
    this.#cancelWait = this.#options.platform.after(delay, () => {
      if (run === this.#run) void this.#connect(run);
    });
  }

  #cursor(): Cursor {
    const { store, replica } = this.#options;
    return { seq: store.cursor.last_seq, epoch: replica.epoch };
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.events.emit({ type: "connection" });
  }
}
