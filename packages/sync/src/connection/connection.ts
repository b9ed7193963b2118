import type { EngineBus } from "./events.ts";
import { isUnreachable } from "./answer.ts";
import { Backoff } from "../platform/backoff.ts";
import { PylonClientError } from "./errors.ts";
import type { HttpClient } from "./http.ts";
import type { LocalStore } from "../replica/local-store.ts";
import type { KeptReplica, KeptRow } from "../persistence/disk.ts";
import type { Platform } from "../platform/platform.ts";
import { pullSince, pullSnapshot } from "./puller.ts";
import { fingerprint, isSame, type ResolvedSession, type Session } from "../session/session.ts";
import { TabGroup } from "./tabs.ts";
import { openPolling } from "./transport/poll.ts";
import { openEventStream } from "./transport/sse.ts";
import {
  NEXT_TRANSPORT,
  type Cursor,
  type EndReason,
  type LiveConnection,
  type TransportEvents,
  type TransportType,
} from "./transport/transport.ts";
import { openWebSocket } from "./transport/websocket.ts";
import { openQueries } from "../queries/open-queries.ts";
import type { QuerySubscriptions } from "../queries/query-subscriptions.ts";
import { withCursor } from "./url.ts";

/** After this time a connection counts as good, and the waits between tries begin anew. */
const STABLE_MS = 5_000;
/** How long a server that may be gone has to answer. */
const PROBE_MS = 3_000;
/** How long nothing may be heard, in milliseconds, before what is under way is tried again. */
const QUIET_MS = 1_000;
/** The epoch of a replica that holds what was asked for: no server goes on from it as a whole. */
const OF_QUERIES = "queries";
/** How often in a row a transport may not open, though the server answers, before the next one. */
const MAX_MISSES = 2;

/** `unauthorized`: the session has ended, and nothing happens before somebody signs in. */
export type ConnectionState = "connecting" | "live" | "offline" | "unauthorized";

/** What a connection is made of, and whom it tells. */
export interface ConnectionOptions {
  readonly store: LocalStore;
  readonly session: Session;
  readonly http: HttpClient;
  readonly platform: Platform;
  readonly transport: TransportType;
  readonly socketUrl: string;
  readonly pollInterval: number;
  readonly reconnectDelay: number;
  /** Tells apart what several apps on one origin share among their tabs. */
  readonly appName: string;
  /** Tells this tab from the others. */
  readonly tabId: string;
  readonly events: EngineBus;
  /** What asks for single queries in place of the whole replica; null for the whole. */
  readonly queries: QuerySubscriptions | null;
}

/**
 * Keeps the replica in step with the server: who am I, a snapshot when there is none to continue,
 * then the live connection, again and again until it is stopped.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #state: ConnectionState = "connecting";
  #hasReplica = false;
  /** Who the replica is for; null without one. */
  #replicaFor: ResolvedSession | null = null;
  /** It is of an earlier visit. */
  #isKept = false;
  #epoch: string | null = null;
  #live: LiveConnection | null = null;
  /** The tabs that show the same replica; null before it connects, and where tabs share nothing. */
  #tabs: TabGroup | null = null;
  #transport: TransportType;
  #misses = 0;
  #triedAt = 0;
  /** The server can't go on from where the replica is. */
  #isOutdated = false;
  #cancelWait: () => void = () => undefined;
  #cancelProbe: (() => void) | null = null;
  /** Each start is a run of its own; what an older run still awaits has no effect. */
  #run = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#transport = options.transport;
    this.#backoff = new Backoff(options.platform, options.reconnectDelay);
  }

  get state(): ConnectionState {
    return this.#state;
  }
  /** How changes come now, or are about to. */
  get transport(): TransportType {
    return this.#transport;
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

  start(): void {
    this.stop();
    this.#backoff.reset();
    this.#transport = this.#options.transport;
    this.#misses = 0;
    void this.#connect(this.#run);
  }

  /**
   * Shows what was kept of an earlier visit, and goes on from there when it connects.
   *
   * @returns false when there is a replica already
   */
  restore({ head, rows }: KeptReplica): boolean {
    if (this.#hasReplica) return false;
    this.#options.store.restore(rows, head.seq, head.schema);
    this.#showKept(head.epoch, head.session);
    return true;
  }

  /**
   * Shows rows that came with the page until the server's own are here, which replace them all.
   *
   * @param session whose they are; null where the page does not say
   */
  hydrate(rows: Iterable<KeptRow>, seq: number, session: ResolvedSession | null): void {
    if (this.#hasReplica) return;
    this.#options.store.restore(rows, seq);
    // Without an epoch nothing goes on from there.
    this.#showKept(null, session);
  }

  #showKept(epoch: string | null, session: ResolvedSession | null): void {
    this.#epoch = epoch;
    this.#replicaFor = session;
    this.#isKept = true;
    this.#hasReplica = true;
    this.#options.events.emit({ type: "connection" });
  }

  /**
   * Brings the replica up to now in one question, whether it is connected or not. One of single
   * queries is kept in step by them: then the server is asked who is there, and no more.
   *
   * @throws PylonClientError
   */
  async pull(): Promise<void> {
    const run = this.#run;
    try {
      if (this.#state !== "live" || this.#queries() !== null) {
        await this.#options.session.refresh();
        if (run !== this.#run || this.#queries() !== null) return;
        if ((await this.#takeReplica(run)) || run !== this.#run) return;
      }
      await this.#catchUp(run);
    } catch (error) {
      const isGone = error instanceof PylonClientError && error.status === 410;
      if (!isGone || run !== this.#run) throw error;
      this.#isOutdated = true;
      if (this.#state === "live") this.start();
      else await this.#takeReplica(run);
    }
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
    this.#isOutdated = false;
    this.#epoch = null;
    this.#options.queries?.reset();
    this.#options.store.replaceAll([], 0);
    this.#options.events.emit({ type: "drop" });
    this.#options.events.emit({ type: "connection" });
  }

  stop(): void {
    this.#run += 1;
    this.#live?.close();
    this.#live = null;
    this.#options.queries?.closed();
    this.#tabs?.leave();
    this.#tabs = null;
    this.#cancelWait();
    this.#cancelProbe?.();
  }

  /**
   * The server has said who is there: what is another's is shown no more, and a live connection
   * asks everything anew.
   */
  follow(session: ResolvedSession): void {
    const isOther = this.#replicaFor !== null && !isSame(this.#replicaFor, session);
    this.#dropUnlessFor(session);
    if (isOther && this.#state === "live") this.start();
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
    this.#cancelProbe = () => {
      this.#cancelProbe = null;
      abort.abort();
    };
    // The socket may be dead where the network is another one now.
    live.check?.(PROBE_MS);
    const limits = { signal: abort.signal, timeoutMs: PROBE_MS };
    this.#options.http.request("GET", "/api/auth/me", undefined, {}, limits).then(
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

  /** The network may be there again: what waits, or may be lost, is tried now. */
  retryNow(): void {
    const { platform, http } = this.#options;
    const quietFor = platform.now() - Math.max(this.#triedAt, http.heardAt);
    if (this.#state === "live") this.probe();
    else if (this.#state === "offline") this.start();
    // What waits since before that for an answer may wait in vain.
    else if (this.#state === "connecting" && quietFor > QUIET_MS) this.start();
  }

  async #connect(run: number): Promise<void> {
    const { session, platform } = this.#options;
    this.#triedAt = platform.now();
    this.#become("connecting");
    try {
      await session.refresh();
      if (run !== this.#run) return;
      const queries = this.#queries();
      if (queries !== null) this.#beginQueries(queries, session.resolved);
      else await this.#takeReplica(run);
      if (run !== this.#run) return;
      const events = this.#events(run);
      const group = queries === null ? this.#tabGroup() : null;
      this.#live =
        group === null
          ? this.#open(events)
          : group.open({
              open: (own) => this.#open(own),
              catchUp: () => this.#catchUp(run),
              events,
            });
    } catch (error) {
      if (run !== this.#run) return;
      const refusal = error instanceof PylonClientError ? error : undefined;
      if (refusal?.status === 401) this.#end("unauthorized", run);
      else this.#waitAndRetry(run, refusal?.retryAfter);
    }
  }

  /**
   * Takes a snapshot for whoever is there, unless there is a replica to go on from.
   *
   * @returns whether it took one
   */
  async #takeReplica(run: number): Promise<boolean> {
    const { resolved } = this.#options.session;
    // The epoch tells whether what may be read has changed since an earlier visit. An older
    // server has none, or one that does not tell.
    const canContinue = !this.#isKept || (this.#epoch?.includes(".") ?? false);
    const isGood = this.#hasReplica && !this.#isOutdated && canContinue;
    if (isGood && this.#epoch !== OF_QUERIES && isSame(this.#replicaFor, resolved)) return false;
    await this.#takeSnapshot(run, resolved);
    if (run === this.#run) this.#options.queries?.becameWhole();
    return true;
  }

  /** Single queries are asked for over sockets; where none gets through, the replica is whole. */
  #queries(): QuerySubscriptions | null {
    return this.#transport === "websocket" ? this.#options.queries : null;
  }

  /** The replica begins with what there is of the same user, and holds what is asked for. */
  #beginQueries(queries: QuerySubscriptions, resolved: ResolvedSession): void {
    const isOther = !isSame(this.#replicaFor, resolved);
    if (isOther && this.#hasReplica) this.#dropReplica();
    if (isOther) queries.reset();
    this.#isOutdated = false;
    if (!isOther && this.#epoch === OF_QUERIES) return;
    this.#epoch = OF_QUERIES;
    this.#hasReplica = true;
    this.#replicaFor = resolved;
    this.#options.events.emit({ type: "snapshot" });
    this.#options.events.emit({ type: "connection" });
  }

  async #takeSnapshot(run: number, resolved: ResolvedSession): Promise<void> {
    const { http, store, events } = this.#options;
    const snapshot = await pullSnapshot(http);
    if (run !== this.#run) return;
    store.replaceAll(snapshot.events, snapshot.seq, snapshot.schema);
    this.#epoch = snapshot.epoch;
    this.#hasReplica = true;
    this.#replicaFor = resolved;
    this.#isKept = this.#isOutdated = false;
    events.emit({ type: "snapshot" });
    events.emit({ type: "advance" });
    events.emit({ type: "connection" });
  }

  /** What is of another is not shown for longer than it takes to know. */
  #dropUnlessFor({ userId, tenantId }: ResolvedSession): void {
    const known = this.#replicaFor;
    if (known !== null && (known.userId !== userId || known.tenantId !== tenantId))
      this.#dropReplica();
  }

  /** The tabs of this browser that are signed in as the same user, by the same token. */
  #tabGroup(): TabGroup | null {
    const { platform, session, http, appName, tabId } = this.#options;
    if (platform.tabs === null) return null;
    const identity = fingerprint(session.witness + JSON.stringify(session.resolved));
    const name = `pylon:tabs:1:${appName}:${http.baseUrl}:${identity}`;
    if (this.#tabs?.name !== name) {
      this.#tabs?.leave();
      this.#tabs = new TabGroup(platform.tabs, name, tabId, platform.after);
    }
    return this.#tabs;
  }

  /** Takes what happened since the replica's cursor, in one question. */
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
    const queries = this.#queries();
    if (queries !== null) {
      try {
        return openQueries(socketUrl, session.token, platform, queries, events);
      } catch (error) {
        // Another transport begins with a whole replica.
        this.#fallBack();
        throw error;
      }
    }
    if (this.#transport === "websocket") {
      try {
        return openWebSocket(withCursor(socketUrl, cursor), session.token, platform, events);
      } catch {
        // Node 20 has no sockets, and a page's rules may forbid them.
        this.#fallBack();
      }
    }
    if (this.#transport === "poll")
      return openPolling(() => this.#cursor(), http, platform, pollInterval, events);
    const { search } = new URL(withCursor(`${http.baseUrl}/events`, cursor));
    return openEventStream(`/events${search}`, http, platform, events);
  }

  #fallBack(): void {
    this.#misses = 0;
    this.#transport = NEXT_TRANSPORT[this.#transport] ?? this.#options.transport;
    this.#options.events.emit({ type: "connection" });
  }

  #events(run: number): TransportEvents {
    const { store, platform, events } = this.#options;
    const transport = this.#transport;
    const queries = this.#queries();
    let openedAt = Infinity;
    return {
      onOpen: () => {
        openedAt = platform.now();
        this.#misses = 0;
        this.#become("live");
        events.emit({ type: "online" });
      },
      onChanges: (changes) => {
        store.applyChanges(changes);
        events.emit({ type: "advance" });
      },
      onHello: ({ seq, epoch, schema }) => {
        if (queries === null) {
          this.#epoch = epoch;
          store.advanceTo(seq);
          events.emit({ type: "advance" });
        } else {
          if (schema !== undefined) store.describe(schema);
          queries.opened((text) => this.#live?.send?.(text), this.#isKept);
        }
        if (this.#isKept) {
          this.#isKept = false;
          this.#options.events.emit({ type: "connection" });
        }
        if (transport !== "poll") events.emit({ type: "listening" });
      },
      onMessage: (message) => events.emit({ type: "message", message }),
      onEnd: (why) => {
        const livedMs = platform.now() - openedAt;
        if (livedMs >= STABLE_MS || why === "resync") this.#backoff.reset();
        else if (livedMs >= 0) this.#backoff.ease();
        else if (why === "lost") this.#misses += 1;
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
    } else if (why === "closed") void this.#confirmEnd(run);
    else {
      if (why === "resync") this.#isOutdated = true;
      if (this.#misses >= MAX_MISSES) this.#fallBack();
      this.#waitAndRetry(run, undefined);
    }
  }

  /** Only the server's own 401 ends a session; a close code may be a proxy's. */
  async #confirmEnd(run: number): Promise<void> {
    const { session } = this.#options;
    const { userId } = session.resolved;
    this.#become("connecting");
    const isOver = await session.refresh().then(
      // Of a cookie that is over the server says that nobody is there.
      (now) => userId !== null && now.userId === null,
      (error: unknown) => error instanceof PylonClientError && error.status === 401,
    );
    if (run !== this.#run) return;
    if (isOver) this.#become("unauthorized");
    else this.#waitAndRetry(run, undefined);
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
    this.#options.events.emit({ type: "connection" });
  }
}
