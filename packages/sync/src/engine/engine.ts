import { createIdFactory, type ClientChange } from "@pylonsync/protocol";
import { Connection } from "../connection/connection.ts";
import { MutationError, PylonClientError } from "../connection/errors.ts";
import { HttpClient, type HttpMethod } from "../connection/http.ts";
import { socketUrl } from "../connection/url.ts";
import type { LiveFunction } from "../live/live-function.ts";
import { LiveFunctions } from "../live/live-functions.ts";
import { MutationQueue, type PendingMutation } from "../outbox/mutation-queue.ts";
import { toChange } from "../outbox/plain.ts";
import { Pusher } from "../outbox/pusher.ts";
import { Persistence } from "../persistence/persistence.ts";
import { Emitter } from "../platform/emitter.ts";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { liveQuery, type LiveList, type QueryOptions } from "../replica/live-query.ts";
import { LocalStore } from "../replica/local-store.ts";
import { ANONYMOUS_SESSION, Session } from "../session/session.ts";
import { defaultStorage, type Storage } from "../session/storage.ts";
import { EngineAliases } from "./aliases.ts";
import { NOT_STARTED, type SyncEngineConfig, type SyncStatus } from "./config.ts";
import { EngineRooms } from "./engine-rooms.ts";
import { EngineSession } from "./engine-session.ts";
import type { EngineBus, EngineEvent } from "../connection/events.ts";
import { QuerySubscriptions } from "../queries/query-subscriptions.ts";
import { callFunction } from "./functions.ts";
import type { HydrationData } from "./server-data.ts";

const CLIENT_ID_KEY = "pylon:client_id";
/** How long a write that the disk did not take waits for the server's answer, in milliseconds. */
const ANSWER_MS = 10_000;

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
export class SyncEngine extends EngineAliases {
  readonly store = new LocalStore();
  /** Writes that the server has not confirmed. */
  readonly mutations = new MutationQueue();
  /** Who is signed in. */
  readonly session: EngineSession;
  /** Rooms, presence and topics. */
  readonly rooms: EngineRooms;
  readonly storage: Storage;
  /** Tells this browser from others. */
  readonly clientId: string;
  readonly baseUrl: string;
  readonly platform: Platform;
  readonly #events: EngineBus = new Emitter<EngineEvent>();
  readonly #session: Session;
  readonly #http: HttpClient;
  /** Null where the replica is whole. */
  readonly #queries: QuerySubscriptions | null;
  readonly #connection: Connection;
  readonly #pusher: Pusher;
  readonly #functions: LiveFunctions;
  /** Null where nothing is kept. */
  readonly #persistence: Persistence | null;
  readonly #newId: () => string;
  readonly #statusChanged = new Emitter<SyncStatus>();
  readonly #stopped = new Emitter<void>();
  #status: SyncStatus;
  #stopListening: readonly (() => void)[] = [];
  #isStarted = false;
  /** Of the two callers without a user's id, which one it was last. */
  #wasAdmin: boolean | undefined;

  constructor(config: SyncEngineConfig) {
    super();
    const { baseUrl, credentials = "token", transport = "websocket" } = config;
    this.#status = { ...NOT_STARTED, transport };
    const given: Platform = { ...systemPlatform, ...config.platform };
    this.platform = credentials === "cookie" ? withCookies(given) : given;
    this.baseUrl = baseUrl;
    this.storage = config.storage ?? defaultStorage();
    this.#newId = createIdFactory(this.platform.now, this.platform.randomBytes);
    this.clientId = this.storage.get(CLIENT_ID_KEY) ?? this.#newId();
    this.storage.set(CLIENT_ID_KEY, this.clientId);
    const initial = config.session === undefined ? ANONYMOUS_SESSION : { ...config.session };
    const { platform, storage } = this;
    const { appName = "default", token } = config;
    const options = { baseUrl, platform, storage, appName, token, credentials, initial };
    this.#session = new Session(options);
    this.#http = new HttpClient(baseUrl, platform, () => this.#session.token);
    this.#queries = config.sync === "queries" ? this.#makeQueries() : null;
    this.#connection = this.#makeConnection(config);
    this.#pusher = this.#makePusher(config);
    this.#functions = new LiveFunctions({
      http: this.#http,
      platform,
      session: this.#session,
      socketUrl: config.wsUrl ?? socketUrl(baseUrl),
      reconnectDelay: config.reconnectDelay ?? 1000,
      newId: this.#newId,
    });
    this.session = new EngineSession({
      session: this.#session,
      queue: this.mutations,
      credentials,
      initial,
      onOtherUser: () => this.#persistence?.changeUser(),
      onSignOut: () => this.#persistence?.signOut(),
      onChanged: () => this.#restart(),
    });
    this.rooms = new EngineRooms({
      http: this.#http,
      platform,
      send: (text) => this.#connection.send(text),
    });
    this.#followSession();
    this.store.onClear(() => this.#restart());
    this.#persistence = this.#makePersistence(config);
    this.#events.on((event) => this.#take(event));
  }

  #makeQueries(): QuerySubscriptions {
    const { store, platform } = this;
    const queries = new QuerySubscriptions({
      store,
      platform,
      onAdvance: () => this.#events.emit({ type: "advance" }),
    });
    store.rowsFrom(queries);
    return queries;
  }

  #makeConnection(config: SyncEngineConfig): Connection {
    const { transport = "websocket", reconnectDelay = 1000, appName = "default" } = config;
    return new Connection({
      store: this.store,
      session: this.#session,
      http: this.#http,
      platform: this.platform,
      transport,
      socketUrl: config.wsUrl ?? socketUrl(this.baseUrl),
      pollInterval: config.pollInterval ?? 1000,
      reconnectDelay,
      appName,
      tabId: this.#newId(),
      events: this.#events,
      queries: this.#queries,
    });
  }

  #makePusher({ reconnectDelay = 1000 }: SyncEngineConfig): Pusher {
    return new Pusher({
      http: this.#http,
      queue: this.mutations,
      platform: this.platform,
      retryDelay: reconnectDelay,
      clientId: this.clientId,
      replicaSeq: () => this.store.cursor.last_seq,
      userId: () => this.#senderId(),
      prepare: async () => {
        await this.#session.revalidate();
        await this.#persistence?.prune();
      },
      events: this.#events,
    });
  }

  /** Before the disk follows it too: what is not the user's is dropped before anything is read. */
  #followSession(): void {
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
      this.#functions.follow(session);
    });
    this.#session.onChange(() => this.#showPending());
    this.mutations.onChange(() => {
      this.#showPending();
      this.#queries?.awaitChange(this.mutations.lastApplied);
    });
  }

  /** Does what follows from an event of a part; `EngineEvent` says it in words. */
  #take(event: EngineEvent): void {
    switch (event.type) {
      case "snapshot":
        return this.#persistence?.keepReplica();
      case "drop":
        return this.#persistence?.leaveReplica();
      case "advance":
        this.mutations.release(this.store.cursor.last_seq);
        return this.#persistence?.advanceReplica();
      case "online":
        return this.#pusher.resend();
      case "listening":
        return this.rooms.listening();
      case "message":
        return this.rooms.take(event.message);
      case "connection":
        return this.#updateStatus();
      case "unauthorized":
        return this.#connection.start();
      case "unreachable":
        return this.#connection.probe();
      case "writes":
        return this.#pusher.flush();
    }
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
    this.#functions.retryNow();
    this.#pusher.flush();
  }

  #connect(): void {
    this.#connection.start();
    this.#functions.start();
    this.#pusher.start();
  }

  /** Ends the connection and all timers. What is pending stays in the queue. */
  stop(): void {
    this.#isStarted = false;
    for (const stop of this.#stopListening) stop();
    this.#stopListening = [];
    this.#connection.stop();
    this.#functions.stop();
    this.#pusher.stop();
    this.#persistence?.close();
    this.#stopped.emit();
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

  /**
   * Brings the replica up to now, which a running engine does by itself. Also looks whether the app
   * has put another token into the storage: then it is made again for whoever that token stands
   * for. Resolves when it is done, or can't be for now; never rejects.
   */
  async pull(): Promise<void> {
    if (this.#session.isOutdated) this.session.notifyChanged();
    const { state } = this.#connection;
    if (this.#isStarted && state === "offline") this.#connection.start();
    if (!this.#isStarted || state === "live") await this.#connection.pull().catch(() => undefined);
    await this.#connected();
  }

  /** Drops the replica and takes it again; what was not sent stays in the queue. */
  async resetReplica(): Promise<void> {
    this.#restart();
    await this.#connected();
  }

  /**
   * Shows rows that a server has rendered, before the engine is started and until it has its own.
   * Nothing happens once there is a replica, because that is newer.
   *
   * @param data of `getServerData`
   */
  hydrate({ entities, cursor, session = null }: HydrationData): void {
    const rows = Object.entries(entities).flatMap(([entity, own]) =>
      own.map((row) => ({ entity, id: row.id, row })),
    );
    // What a browser has kept of an earlier visit is older: it is not shown over these.
    this.#connection.hydrate(rows, Math.max(1, cursor?.last_seq ?? 0), session);
  }

  /** Waits while it connects. */
  #connected(): Promise<void> {
    return new Promise((resolve) => {
      const isOver = (): boolean => !this.#isStarted || this.#connection.state !== "connecting";
      if (isOver()) return resolve();
      const look = (): void => {
        if (!isOver()) return;
        for (const stop of stops) stop();
        resolve();
      };
      // Whoever waits for the connection waits no longer once it is stopped.
      const stops = [this.#statusChanged.on(look), this.#stopped.on(look)];
    });
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

  /**
   * The result of a query function that is always up to date: it comes again when rows change that
   * the function read. Equal names and arguments share one subscription of this page.
   *
   * @throws PylonClientError `UNSENDABLE` for arguments that JSON can't say
   */
  live(name: string, args: Readonly<Record<string, unknown>> = {}): LiveFunction {
    return this.#functions.live(name, args);
  }

  /** Told of every write that the server refused. @returns an unsubscribe function */
  onError(listener: (error: MutationError) => void): () => void {
    return this.mutations.onRefused(listener);
  }

  /** How it is doing now. */
  get status(): SyncStatus {
    return this.#status;
  }
  /** Told when the status changes. @returns an unsubscribe function */
  onStatus(listener: (status: SyncStatus) => void): () => void {
    return this.#statusChanged.on(listener);
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

  #restart(): void {
    this.#connection.forget();
    this.#showPending();
    this.#functions.reset();
    if (this.#isStarted) this.#connection.start();
  }

  async #write(
    target: Omit<ClientChange, "op_id" | "data">,
    fields?: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const change = this.#sendable(target, fields);
    const { isOutdated, isDoubted } = this.#session;
    if (isOutdated && !isDoubted) this.session.notifyChanged();
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
      const cancel = this.platform.after(this.#connection.state === "live" ? ANSWER_MS : 0, () =>
        reject(error),
      );
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
      events: this.#events,
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

/**
 * Makes an engine, which does nothing before its `start`.
 *
 * @param baseUrl the server's origin
 * @example
 * const engine = createSyncEngine("https://api.example.com", { appName: "todo" });
 * engine.start();
 */
export function createSyncEngine(
  baseUrl = "http://localhost:4321",
  options: Partial<Omit<SyncEngineConfig, "baseUrl">> = {},
): SyncEngine {
  return new SyncEngine({ baseUrl, ...options });
}
