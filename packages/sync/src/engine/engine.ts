import {
  createIdFactory,
  type ClientChange,
  type PresenceMessage,
  type RoomEvent,
  type TopicMessage,
} from "@pylonsync/protocol";
import { Connection, type ConnectionState } from "../connection/connection.ts";
import { Emitter } from "../platform/emitter.ts";
import { MutationError, PylonClientError } from "../connection/errors.ts";
import { callFunction } from "./functions.ts";
import { HttpClient, type HttpMethod } from "../connection/http.ts";
import { liveQuery, type LiveList, type QueryOptions } from "../replica/live-query.ts";
import { LocalStore, type SyncCursor } from "../replica/local-store.ts";
import { MutationQueue, type PendingMutation } from "../outbox/mutation-queue.ts";
import { Persistence } from "../persistence/persistence.ts";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { toChange } from "../outbox/plain.ts";
import { Pusher } from "../outbox/pusher.ts";
import { Room, type RoomOptions } from "../rooms/room.ts";
import {
  ANONYMOUS_SESSION,
  Session,
  type Credentials,
  type ResolvedSession,
} from "../session/session.ts";
import { defaultStorage, type Storage } from "../session/storage.ts";
import type { PeerMessage, TransportType } from "../connection/transport/transport.ts";
import { socketUrl } from "../connection/url.ts";

const CLIENT_ID_KEY = "pylon:client_id";
/** How long a write that the disk did not take waits for the server's answer, in milliseconds. */
const ANSWER_MS = 10_000;

/**
 * What an engine is made with; only `baseUrl` has no place in `createSyncEngine`'s options, where
 * it stands before them.
 */
export interface SyncEngineConfig {
  /** The server's origin. Default `http://localhost:4321`. */
  readonly baseUrl: string;
  /** What is tried first. Default `websocket`, then `sse`, then `poll`. */
  readonly transport?: TransportType;
  /** The socket's address; default `/ws` of the same host and port. */
  readonly wsUrl?: string;
  /** Milliseconds between two polls; default 1000. */
  readonly pollInterval?: number;
  /** The span of the first wait before reconnecting, in milliseconds; default 1000. */
  readonly reconnectDelay?: number;
  /** Takes the place of a stored token. */
  readonly token?: string;
  /**
   * `cookie`: the session is the cookie that a sign-in sets, and no token is kept where a script could read it. For pages of the server's own
   * origin, or of one that it trusts on the same site. Default `token`.
   */
  readonly credentials?: Credentials;
  /**
   * Who is signed in, where a server has rendered the page and knows. The engine asks again when it
   * connects.
   */
  readonly session?: ResolvedSession;
  /** Keeps the tokens of several apps on one origin apart. Default `default`. */
  readonly appName?: string;
  /**
   * Whether rows and unsent writes outlive the page: in IndexedDB, for the user whose they are,
   * until a sign-out. Default true, where there is an IndexedDB.
   */
  readonly persist?: boolean;
  /** Where the token and the client's id are kept. Default `localStorage`, else memory. */
  readonly storage?: Storage;
  /** Parts of the machine to put others in place of: the clock, chance, the network, the disk. */
  readonly platform?: Partial<Platform>;
}

/** How the engine is doing. The same object comes back until something changes. */
export interface SyncStatus {
  readonly connection: ConnectionState;
  /**
   * Whether the replica holds what the server had at some time; before that, an empty list means
   * nothing.
   */
  readonly ready: boolean;
  /**
   * Whether the replica is of an earlier visit, because the server has not been heard yet in this
   * one.
   */
  readonly stale: boolean;
  /** Writes that the server has not answered. */
  readonly pending: number;
  /**
   * How changes come, or are about to: another way than asked for where that does not get through.
   */
  readonly transport: TransportType;
}

/** The status of an engine that is not started, which is what a server renders. */
export const NOT_STARTED: SyncStatus = Object.freeze({
  connection: "connecting",
  ready: false,
  stale: false,
  pending: 0,
  transport: "websocket",
});

/**
 * The client engine: a local replica that is read at once, written at once, and kept in step with
 * the server.
 *
 * @example
 * const engine = createSyncEngine("https://api.example.com");
 * engine.start();
 * const todos = engine.query("Todo", { where: { done: false } });
 * todos.subscribe(() => render(todos.getSnapshot()));
 * await engine.insert("Todo", { title: "milk" });
 */
export class SyncEngine {
  readonly store = new LocalStore();
  readonly mutations = new MutationQueue();
  readonly storage: Storage;
  readonly clientId: string;
  readonly baseUrl: string;
  readonly credentials: Credentials;
  readonly platform: Platform;
  /** Who was signed in when the engine was made: what a rendered page shows until it is alive. */
  readonly initialSession: ResolvedSession;
  readonly #session: Session;
  readonly #http: HttpClient;
  readonly #connection: Connection;
  readonly #pusher: Pusher;
  /** Null where nothing is kept. */
  readonly #persistence: Persistence | null;
  readonly #newId: () => string;
  readonly #presence = new Emitter<PresenceMessage>();
  readonly #topics = new Emitter<TopicMessage>();
  readonly #listening = new Emitter<void>();
  readonly #roomEvents = new Emitter<RoomEvent>();
  readonly #statusChanged = new Emitter<SyncStatus>();
  #status: SyncStatus;
  #stopListening: readonly (() => void)[] = [];
  #isStarted = false;
  /** Of the two callers without a user's id, which one it was last. */
  #wasAdmin: boolean | undefined;

  constructor(config: SyncEngineConfig) {
    const { baseUrl, reconnectDelay = 1000, appName = "default", credentials = "token" } = config;
    const { transport = "websocket" } = config;
    this.#status = { ...NOT_STARTED, transport };
    const given: Platform = { ...systemPlatform, ...config.platform };
    const platform = credentials === "cookie" ? withCookies(given) : given;
    this.credentials = credentials;
    this.platform = platform;
    this.initialSession = config.session === undefined ? ANONYMOUS_SESSION : { ...config.session };
    this.baseUrl = baseUrl;
    this.storage = config.storage ?? defaultStorage();
    this.#newId = createIdFactory(platform.now, platform.randomBytes);
    this.clientId = this.storage.get(CLIENT_ID_KEY) ?? this.#newId();
    this.storage.set(CLIENT_ID_KEY, this.clientId);
    this.#session = new Session({
      baseUrl,
      platform,
      storage: this.storage,
      appName,
      token: config.token,
      credentials,
      initial: this.initialSession,
    });
    this.#http = new HttpClient(baseUrl, platform, () => this.#session.token);
    this.#connection = new Connection({
      store: this.store,
      session: this.#session,
      http: this.#http,
      platform,
      transport,
      socketUrl: config.wsUrl ?? socketUrl(baseUrl),
      pollInterval: config.pollInterval ?? 1000,
      reconnectDelay,
      appName,
      tabId: this.#newId(),
      onListening: () => this.#listening.emit(),
      onSnapshot: () => this.#persistence?.keepReplica(),
      onDrop: () => this.#persistence?.leaveReplica(),
      onMessage: (message) => this.#hear(message),
      onAdvance: () => {
        this.mutations.release(this.store.cursor.last_seq);
        this.#persistence?.advanceReplica();
      },
      onOnline: () => this.#pusher.resend(),
    });
    this.#pusher = new Pusher({
      http: this.#http,
      queue: this.mutations,
      platform,
      retryDelay: reconnectDelay,
      clientId: this.clientId,
      replicaSeq: () => this.store.cursor.last_seq,
      userId: () => this.#senderId(),
      prepare: async () => {
        await this.#session.revalidate();
        await this.#persistence?.prune();
      },
      onUnauthorized: () => this.#connection.start(),
      onUnreachable: () => this.#connection.probe(),
    });
    this.#session.onConfirmed((session) => {
      const { userId, isAdmin } = session;
      // Neither the admin nor nobody has a user's id, and the one's writes are not the other's.
      if (isAdmin !== (this.#wasAdmin ?? isAdmin)) this.mutations.dropOf(null);
      this.#wasAdmin = isAdmin;
      this.mutations.claim(userId, this.#session.witness);
      // While nobody is there, what somebody left waits for them.
      if (userId !== null) this.mutations.dropForeign(userId);
      this.#showPending();
      this.#connection.follow(session);
    });
    this.#session.onChange(() => this.#showPending());
    this.mutations.onChange(() => this.#showPending());
    this.#persistence = this.#makePersistence(config);
    this.#connection.onChange(() => this.#updateStatus());
  }

  /** Connects and stays connected. Calling it again does nothing. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#stopListening = [
      this.platform.onOnline(() => this.#retryNow()),
      this.platform.onShown(() => this.#retryNow()),
      this.platform.onOffline(() => this.#connection.probe()),
    ];
    if (this.#persistence === null) this.#connect();
    else {
      const listening = this.#stopListening;
      void this.#persistence.open().then(() => {
        // Stopped, and perhaps started anew, while the disk was read.
        if (listening === this.#stopListening) this.#connect();
      });
    }
  }

  #retryNow(): void {
    this.#connection.retryNow();
    this.#pusher.flush();
  }

  #connect(): void {
    this.#connection.start();
    this.#pusher.start();
  }

  /** Ends the connection and all timers. What is pending stays in the queue. */
  stop(): void {
    this.#isStarted = false;
    for (const stop of this.#stopListening) stop();
    this.#stopListening = [];
    this.#connection.stop();
    this.#pusher.stop();
    this.#persistence?.close();
  }

  /**
   * Inserts at once in the replica, and on the server as soon as it can be reached.
   *
   * @returns the row's permanent id, once the write is in IndexedDB, or on the server where
   *   IndexedDB does not take it. At once when persistence is off, the engine is not started, or no
   *   token proves whose the write is before the server has said who is there.
   * @throws MutationError `UNSENDABLE` with the field, and nothing is written; `NOT_KEPT` when the
   *   write goes on, but only as long as the page does
   */
  async insert(entity: string, data: Readonly<Record<string, unknown>>): Promise<string> {
    const { id, ...fields } = data;
    const rowId = (id ?? this.#newId()) as string;
    await this.#write({ entity, row_id: rowId, kind: "insert" }, fields);
    return rowId;
  }

  /**
   * Updates at once in the replica, and on the server as soon as it can be reached.
   *
   * @throws MutationError as `insert`
   */
  async update(
    entity: string,
    id: string,
    patch: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#write({ entity, row_id: id, kind: "update" }, patch);
  }

  /** Deletes at once in the replica, and on the server as soon as it can be reached. */
  async delete(entity: string, id: string): Promise<void> {
    await this.#write({ entity, row_id: id, kind: "delete" });
  }

  /**
   * Waits until the server has answered every write that was made before, or another tab has taken
   * care of it.
   *
   * @throws MutationError for the first that was refused to this tab
   */
  async flushed(): Promise<void> {
    await Promise.all(
      this.#shown()
        .filter(({ status }) => status === "pending")
        .map(({ id }) => this.mutations.settled(id)),
    );
  }

  /** A list of the replica's rows that is always up to date. */
  query(entity: string, options?: QueryOptions): LiveList {
    return liveQuery(this.store, entity, options);
  }

  /**
   * Calls a server function. A call that the network lost is made again, and runs once.
   *
   * @throws PylonClientError with the function's code
   */
  fn(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return callFunction(this.#http, this.platform, name, args, this.#newId());
  }

  /** Told of every write that the server refused. @returns stops it */
  onError(listener: (error: MutationError) => void): () => void {
    return this.mutations.onRefused(listener);
  }

  /**
   * Tells those who are in a room with this user something about it, over the socket; everyone in
   * the tenant where the app's `peerMessages` say so. While there is no socket it is dropped.
   */
  setPresence(data: unknown): void {
    this.#connection.send(JSON.stringify({ type: "presence", event: "update", data }));
  }
  /** Sends to the same users, over the socket. While there is none it is dropped. */
  publishTopic(topic: string, data: unknown): void {
    this.#connection.send(JSON.stringify({ type: "topic", topic, data }));
  }
  /**
   * Hears what other users say about themselves, and who has gone; this user's own too.
   *
   * @returns stops it
   */
  onPresence(listener: (message: PresenceMessage) => void): () => void {
    return this.#presence.on(listener);
  }
  /** Hears what other users publish, this user's own too. @returns stops it */
  onTopic(listener: (message: TopicMessage) => void): () => void {
    return this.#topics.on(listener);
  }
  /** Hears what happens in the rooms that this user is in. @returns stops it */
  onRoom(listener: (event: RoomEvent) => void): () => void {
    return this.#roomEvents.on(listener);
  }
  /**
   * Goes into a room, until `leave` of what it returns.
   *
   * @param userId the signed-in user, who is left out of the peers
   * @param options `http`: calls with another token or another server
   */
  joinRoom(
    room: string,
    userId: string,
    options: RoomOptions & { readonly http?: HttpClient } = {},
  ): Room {
    const { http = this.#http } = options;
    const connection = {
      http,
      platform: this.platform,
      listen: this.onRoom.bind(this),
      onListening: (listener: () => void) => this.#listening.on(listener),
    };
    return new Room(room, userId, connection, options);
  }

  /** How it is doing now. */
  get status(): SyncStatus {
    return this.#status;
  }
  /** Told when the status changes. @returns stops it */
  onStatus(listener: (status: SyncStatus) => void): () => void {
    return this.#statusChanged.on(listener);
  }
  /** Whether changes come as they happen. */
  get connected(): boolean {
    return this.#status.connection === "live";
  }
  /** Where the replica is in the server's log. */
  getCursor(): SyncCursor {
    return this.store.cursor;
  }

  /** What requests are signed in by; null for nobody, and where a cookie does it. */
  get token(): string | null {
    return this.#session.token;
  }

  /**
   * Who is signed in, as far as it is known: `ANONYMOUS_SESSION` itself until the server has told.
   */
  resolvedSession(): ResolvedSession {
    return this.#session.resolved;
  }
  /** Told when the server says that somebody else is there than before. @returns stops it */
  onSession(listener: (session: ResolvedSession) => void): () => void {
    return this.#session.onChange(listener);
  }
  /** Asks the server who is there. @throws PylonClientError */
  refreshResolvedSession(): Promise<ResolvedSession> {
    return this.#session.refresh();
  }

  /**
   * Asks the server's HTTP API as whoever is signed in.
   *
   * @param path from the root
   * @throws PylonClientError
   */
  request(method: HttpMethod, path: string, body?: unknown): Promise<unknown> {
    return this.#http.request(method, path, body);
  }

  /**
   * Signs in with a token: the replica is dropped and made anew for the new identity, whose own
   * writes are sent. With null it signs out here: rows and unsent writes are dropped, from the disk
   * too. The session on the server goes on; `signOut` of @pylonsync/react ends it.
   */
  setToken(token: string | null): void {
    this.mutations.dropUnknown();
    this.#session.token = token;
    if (token === null) {
      this.mutations.dropAll();
      this.#persistence?.signOut();
    } else this.#persistence?.changeUser();
    this.notifySessionChanged();
  }
  /**
   * Forgets a token that the server does not know any more. What was not sent waits for its user.
   */
  forgetToken(): void {
    this.#session.token = null;
    this.#persistence?.changeUser();
    this.notifySessionChanged();
  }
  /** After a sign-in, sign-out or change of tenant that the app made by itself. */
  notifySessionChanged(): void {
    this.#session.invalidate();
    this.#connection.forget();
    this.#showPending();
    if (this.#isStarted) this.#connection.start();
  }
  /** Makes a guest with a list of their own, and signs in. */
  async signInAsGuest(): Promise<{ readonly token: string; readonly userId: string }> {
    this.mutations.dropUnknown();
    const guest = await this.#session.signInAsGuest();
    this.#persistence?.changeUser();
    this.notifySessionChanged();
    return guest;
  }

  #hear(message: PeerMessage): void {
    if (message.type === "topic") this.#topics.emit(message);
    else if ("room" in message) this.#roomEvents.emit(message);
    else this.#presence.emit(message);
  }

  async #write(
    target: Omit<ClientChange, "op_id" | "data">,
    fields?: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const change = this.#sendable(target, fields);
    const { isOutdated, isDoubted } = this.#session;
    if (isOutdated && !isDoubted) this.notifySessionChanged();
    const id = this.#newId();
    const { authorId: userId, witness } = this.#session;
    const entry = {
      id,
      change: { ...change, op_id: id },
      userId,
      ...(userId === undefined ? { witness } : {}),
    };
    this.mutations.add(entry);
    const adding = this.#persistence?.add({ ...entry, status: "pending" });
    if (this.#isStarted) this.#pusher.flush();
    if ((await adding) === false) await this.#answered(id, change);
  }

  /**
   * What is not on disk has to be on the server.
   *
   * @throws MutationError `NOT_KEPT` when it is not in time, though it may be yet
   */
  #answered(id: string, change: Omit<ClientChange, "op_id">): Promise<void> {
    return new Promise((resolve, reject) => {
      const error = new MutationError(change, {
        code: "NOT_KEPT",
        message: "The change could not be stored here. Keep the page open until it is sent.",
      });
      const cancel = this.platform.after(this.connected ? ANSWER_MS : 0, () => reject(error));
      this.mutations.settled(id).then(resolve, reject).finally(cancel);
    });
  }

  /**
   * What is queued is what can be sent, whatever the app does to its own objects afterwards.
   *
   * @throws MutationError when it can't, after `onError` was told
   */
  #sendable(
    target: Omit<ClientChange, "op_id" | "data">,
    fields: Readonly<Record<string, unknown>> | undefined,
  ): Omit<ClientChange, "op_id"> {
    try {
      return toChange(target, fields);
    } catch (error) {
      if (!(error instanceof PylonClientError)) throw error;
      const refusal = new MutationError(target, error);
      this.mutations.refuse(refusal);
      throw refusal;
    }
  }

  /** Whose writes may be sent now. */
  #senderId(): string | null | undefined {
    const { userId } = this.#session;
    return userId === undefined || this.#persistence?.hasWritesOf(userId) === false
      ? undefined
      : userId;
  }

  /** The writes of whoever is there. */
  #shown(): readonly PendingMutation[] {
    const { visibleUserId, witness } = this.#session;
    return this.mutations
      .all()
      .filter(({ userId, witness: madeWith }) =>
        userId === undefined ? madeWith === witness : userId === visibleUserId,
      );
  }

  #showPending(): void {
    this.store.setPending(this.#shown().map(({ change }) => change));
    this.#updateStatus();
  }

  #makePersistence({ persist = true, appName = "default" }: SyncEngineConfig): Persistence | null {
    const { openDisk } = this.platform;
    if (!persist || openDisk === null) return null;
    return new Persistence({
      open: () => openDisk(appName, this.#http.baseUrl),
      platform: this.platform,
      session: this.#session,
      queue: this.mutations,
      store: this.store,
      epoch: () => this.#connection.epoch,
      onReplica: (kept) => this.#connection.restore(kept),
      onWrites: () => this.#pusher.flush(),
    });
  }

  #updateStatus(): void {
    const { state, hasReplica, isKept, transport } = this.#connection;
    const next: SyncStatus = {
      connection: state,
      ready: hasReplica,
      stale: isKept,
      pending: this.#shown().filter(({ status }) => status === "pending").length,
      transport,
    };
    if (JSON.stringify(next) === JSON.stringify(this.#status)) return;
    this.#status = next;
    this.#statusChanged.emit(next);
  }
}

/** The browser sends its cookies to another origin only when it is told to. */
function withCookies(platform: Platform): Platform {
  return {
    ...platform,
    fetch: (url, init) => platform.fetch(url, { ...init, credentials: "include" }),
  };
}

/** @param baseUrl the server's origin */
export function createSyncEngine(
  baseUrl = "http://localhost:4321",
  options: Partial<Omit<SyncEngineConfig, "baseUrl">> = {},
): SyncEngine {
  return new SyncEngine({ baseUrl, ...options });
}
