import { createIdFactory, type ClientChange } from "@pylonsync/protocol";
import type * as Extras from "../connection/extras.ts";
import type { ConnectionState } from "../connection/connection.ts";
import { MutationError, PylonClientError } from "../connection/errors.ts";
import type { Documents } from "../documents/documents.ts";
import { HttpClient, type HttpMethod } from "../connection/http.ts";
import { loadOnline } from "../connection/load-online.ts";
import { liveFunction, type LiveFunction } from "../live/live-function.ts";
import { MutationQueue, type PendingMutation } from "../outbox/mutation-queue.ts";
import { toChange } from "../outbox/plain.ts";
import type { Persistence } from "../persistence/persistence.ts";
import { Emitter } from "../platform/emitter.ts";
import { Lazy } from "../platform/lazy.ts";
import { systemPlatform, type Platform } from "../platform/platform.ts";
import { liveQuery, type LiveList, type QueryOptions } from "../replica/live-query.ts";
import { LocalStore } from "../replica/local-store.ts";
import { ReplicaState } from "../replica/replica-state.ts";
import {
  ANONYMOUS_SESSION,
  Session,
  type Credentials,
  type ResolvedSession,
} from "../session/session.ts";
import { defaultStorage, type Storage } from "../session/storage.ts";
import { EngineAliases } from "./aliases.ts";
import { CodeWatch } from "./code-watch.ts";
import { NOT_STARTED, type SyncEngineConfig, type SyncStatus } from "./config.ts";
import type { EngineParts } from "./engine-parts.ts";
import { callFunction } from "./functions.ts";
import { EngineRooms } from "./engine-rooms.ts";
import { EngineSession } from "./engine-session.ts";
import type { TransportType } from "../connection/transport/transport.ts";
import type { EngineBus, EngineEvent } from "../connection/events.ts";
import { LazyQueries } from "../queries/lazy-queries.ts";
import type { HydrationData } from "./server-data.ts";
import type { Online } from "./online.ts";
import { conditionOf, type WriteOptions } from "./write-options.ts";

const CLIENT_ID_KEY = "pylon:client_id";
/** The delay before code that could not be loaded is requested again, in milliseconds. */
const LOAD_AGAIN_MS = 5_000;

/**
 * The client engine: a local replica with immediate reads and optimistic writes, which is kept in
 * sync with the server.
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
  /** The session. */
  readonly session: EngineSession;
  /** Rooms, presence and topics. */
  readonly rooms: EngineRooms;
  readonly storage: Storage;
  /** Identifies this browser. */
  readonly clientId: string;
  readonly baseUrl: string;
  readonly platform: Platform;
  readonly #events: EngineBus = new Emitter<EngineEvent>();
  readonly #session: Session;
  readonly #http: HttpClient;
  readonly #code: CodeWatch;
  /** Null for a full replica. */
  readonly #queries: LazyQueries | null;
  readonly #replica: ReplicaState;
  readonly #online: Lazy<Online>;
  readonly #extras: Lazy<typeof Extras>;
  /** Null until its code is loaded. */
  #documents: Documents | null = null;
  readonly #frames = new Emitter<Uint8Array>();
  /** Null without persistence. */
  readonly #persistence: Lazy<Persistence> | null;
  readonly #newId: () => string;
  readonly #statusChanged = new Emitter<SyncStatus>();
  readonly #stopped = new Emitter<void>();
  /** The preferred transport. */
  readonly #transport: TransportType;
  #status: SyncStatus;
  #stopListening: readonly (() => void)[] = [];
  #isStarted = false;
  /** Whether the networking code could not be loaded, and will be requested again. */
  #isCut = false;
  /** For the two callers without a user id, the admin and anonymous: which one it was last. */
  #wasAdmin: boolean | undefined;

  constructor(config: SyncEngineConfig) {
    super();
    const { baseUrl, credentials = "token", transport = "websocket" } = config;
    this.#transport = transport;
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
    this.#http = new HttpClient(baseUrl, platform, () => this.#session.token, this.#session);
    this.#code = new CodeWatch(this.#http.baseUrl, platform, () => this.#updateStatus());
    const tabId = this.#newId();
    this.#extras = new Lazy(platform, () => import("../connection/extras.ts"), this.#code.watch());
    const loadNetwork = async (): Promise<Online> => new (await loadOnline(platform)).Online(parts);
    this.#online = new Lazy(platform, loadNetwork, this.#code.watch());
    let lastId = 0;
    const nextId = (): number => (lastId += 1);
    this.#queries = config.sync === "queries" ? this.#makeQueries(nextId) : null;
    this.#replica = new ReplicaState({
      store: this.store,
      events: this.#events,
      queriesOf: this.#queries === null ? null : tabId,
      onDrop: () => this.#queries?.mode?.clients.forEach((client) => client.reset()),
    });
    this.session = this.#makeSession(credentials, initial);
    this.rooms = this.#makeRooms();
    this.#followSession();
    this.store.onClear(() => this.#restart());
    const parts: EngineParts = {
      config,
      platform,
      session: this.#session,
      http: this.#http,
      store: this.store,
      replica: this.#replica,
      queue: this.mutations,
      events: this.#events,
      live: this.#queries,
      clientId: this.clientId,
      tabId,
      newId: this.#newId,
      nextId,
      extras: this.#extras,
      persistence: () => this.#persistence,
    };
    this.#persistence = this.#makeLater(parts);
    this.#events.on((event) => this.#take(event));
  }

  #makeSession(credentials: Credentials, initial: ResolvedSession): EngineSession {
    return new EngineSession({
      session: this.#session,
      queue: this.mutations,
      credentials,
      initial,
      onOtherUser: () => this.#onDisk((persistence) => persistence.changeUser()),
      onSignOut: () => {
        this.#documents?.forget();
        this.#onDisk((persistence) => persistence.signOut());
      },
      onChanged: () => this.#restart(),
    });
  }

  #makeRooms(): EngineRooms {
    return new EngineRooms({
      http: this.#http,
      platform: this.platform,
      send: (text) => this.#online.part?.connection.send(text),
      load: () => this.#extras.load(),
    });
  }

  #makeQueries(nextId: () => number): LazyQueries {
    const { store, platform } = this;
    const onAdvance = (): void => this.#events.emit({ type: "advance" });
    const own = { store, platform, http: this.#http, session: this.#session };
    const options = { ...own, nextId, onAdvance, extras: this.#extras };
    const queries = new LazyQueries(options, this.#online, this.#code.watch());
    store.rowsFrom(queries);
    return queries;
  }

  /**
   * Runs before persistence follows the session: other users' rows are dropped before any are read.
   */
  #followSession(): void {
    this.#session.onConfirmed((session) => {
      const { userId, isAdmin } = session;
      // Neither the admin nor an anonymous caller has a user id, but their writes are separate.
      if (isAdmin !== (this.#wasAdmin ?? isAdmin)) this.mutations.dropOf(null);
      this.#wasAdmin = isAdmin;
      this.mutations.claim(userId, this.#session.witness);
      // Without a signed-in user, unsent writes wait for their user.
      if (userId !== null) this.mutations.dropForeign(userId);
      this.#showPending();
      if (this.#replica.follow(session)) this.#online.part?.connection.restart();
      this.#online.part?.functions.follow(session);
    });
    this.#session.onChange(() => this.#showPending());
    this.mutations.onChange(() => {
      this.#showPending();
      this.#queries?.use((queries) => queries.awaitChange(this.mutations.lastApplied));
    });
  }

  /** Handles an event of a part, as documented at `EngineEvent`. */
  #take(event: EngineEvent): void {
    switch (event.type) {
      case "snapshot":
        return this.#persistence?.part?.keepReplica();
      case "drop":
      case "follow":
        return this.#persistence?.part?.leaveReplica();
      case "advance":
        this.mutations.release(this.store.cursor.last_seq);
        return this.#persistence?.part?.advanceReplica();
      case "online":
        return this.#online.part?.resend();
      case "listening":
        return this.rooms.listening();
      case "message":
        return this.rooms.take(event.message);
      case "connection":
        return this.#updateStatus();
      case "unauthorized":
        return this.#online.part?.connection.start();
      case "unreachable":
        return this.#online.part?.connection.probe();
      case "writes":
        return this.#online.part?.flush();
    }
  }

  /** Connects and stays connected. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#stopListening = [
      this.platform.onOnline(() => this.#retryNow()),
      this.platform.onShown(() => this.#retryNow()),
      this.platform.onOffline(() => this.#online.part?.connection.probe()),
    ];
    // The session is loaded in parallel with everything else.
    this.#session.prepare();
    this.#queries?.load().catch(() => undefined);
    const opened = this.#open();
    void this.#connect(opened, this.#stopListening);
    this.#documents?.start();
  }

  /** Loads the stored rows and writes, if there are any. */
  async #open(): Promise<void> {
    // Until the code can be loaded, the page continues without persistence.
    this.#persistence?.use((late) => {
      if (this.#isStarted) void late.open();
    });
    const persistence = await this.#persistence?.load().catch(() => null);
    if (this.#isStarted) await persistence?.open();
  }

  async #connect(opened: Promise<void>, listening: readonly (() => void)[]): Promise<void> {
    const isOver = (): boolean => listening !== this.#stopListening;
    const online = await this.#online.load().catch(() => null);
    await opened;
    // The engine was stopped, and perhaps restarted, while the disk was read.
    if (isOver()) return;
    this.#isCut = online === null;
    this.#updateStatus();
    if (online !== null) online.start();
    else
      this.platform.after(LOAD_AGAIN_MS, () => {
        if (!isOver()) void this.#connect(opened, listening);
      });
  }

  #retryNow(): void {
    this.#online.part?.retryNow();
  }

  /** Closes the connection and stops all timers. Pending writes stay in the queue. */
  stop(): void {
    this.#isStarted = false;
    for (const stop of this.#stopListening) stop();
    this.#stopListening = [];
    this.#online.part?.stop();
    this.#documents?.stop();
    this.#persistence?.part?.close();
    this.#stopped.emit();
  }

  /**
   * Inserts a row into the replica immediately, and into the server when it is reachable.
   *
   * @returns the row's permanent id, once the write is in IndexedDB, or on the server if IndexedDB
   *   fails. Immediately if persistence is off, the engine is not started, or the user is not known
   *   yet and there is no token to identify them.
   * @throws MutationError `UNSENDABLE` with the field, in which case nothing is written; `NOT_KEPT`
   *   if the write is pending, but will be lost when the page is closed
   */
  async insert(entity: string, data: Readonly<Record<string, unknown>>): Promise<string> {
    const { id, ...fields } = data;
    const rowId = (id ?? this.#newId()) as string;
    await this.write({ entity, row_id: rowId, kind: "insert" }, fields);
    return rowId;
  }

  /**
   * Updates a row in the replica immediately, and on the server when it is reachable. Numbers and
   * arrays can be changed relative to their current value on the server: `{ likes: { $increment: 1
   * } }`, `{ tags: { $append: ["new"] } }`.
   *
   * @param options.ifUnchanged fields with the values that they must still have on the server;
   *   otherwise the write is rejected with ROW_CHANGED
   * @throws MutationError like `insert`
   */
  async update(
    entity: string,
    id: string,
    patch: Readonly<Record<string, unknown>>,
    options: WriteOptions = {},
  ): Promise<void> {
    await this.write({ entity, row_id: id, kind: "update", ...conditionOf(options) }, patch);
  }

  /**
   * Atomically adds to a number, so that concurrent changes of other clients are kept: immediately
   * in the replica, and on the server when it is reachable.
   *
   * @param amount default 1; for a decimal a string, such as `"-12.50"`
   * @throws MutationError like `insert`
   */
  increment(entity: string, id: string, field: string, amount: number | string = 1): Promise<void> {
    return this.update(entity, id, { [field]: { $increment: amount } });
  }

  /**
   * Atomically appends items to an array, like `increment`.
   *
   * @throws MutationError like `insert`
   */
  append(entity: string, id: string, field: string, items: readonly unknown[]): Promise<void> {
    return this.update(entity, id, { [field]: { $append: items } });
  }

  /**
   * Deletes a row in the replica immediately, and on the server when it is reachable.
   *
   * @param options as for `update`
   */
  async delete(entity: string, id: string, options: WriteOptions = {}): Promise<void> {
    await this.write({ entity, row_id: id, kind: "delete", ...conditionOf(options) });
  }

  /**
   * Waits until the server has responded to every write that was made before the call, or another
   * tab has handled it.
   *
   * @throws MutationError for the first write of this tab that was rejected
   */
  async flushed(): Promise<void> {
    await Promise.all(
      this.#shown()
        .filter(({ status }) => status === "pending")
        .map(({ id }) => this.mutations.settled(id)),
    );
  }

  /**
   * Updates the replica, which a running engine does automatically. It also checks whether the app
   * has stored another token: then the replica is rebuilt for that token's user. Resolves when it
   * is done, or not possible now; never rejects.
   */
  async pull(): Promise<void> {
    if (this.#session.isOutdated) this.session.notifyChanged();
    const state = this.#state;
    if (this.#isStarted && state === "offline") this.#online.part?.connection.start();
    if (!this.#isStarted || state === "live")
      await this.#online
        .load()
        .then(({ connection }) => connection.pull())
        .catch(() => undefined);
    await this.#connected();
  }

  /** Drops the replica and loads it again; unsent writes stay in the queue. */
  async resetReplica(): Promise<void> {
    this.#restart();
    await this.#connected();
  }

  /**
   * Shows rows that a server has rendered, before the engine is started and until it has its own.
   * Has no effect if there is a replica, which is newer.
   *
   * @param data the result of `getServerData`
   */
  hydrate({ entities, cursor, session = null }: HydrationData): void {
    const rows = Object.entries(entities).flatMap(([entity, own]) =>
      own.map((row) => ({ entity, id: row.id, row })),
    );
    // Rows stored by the browser in an earlier visit are older, and do not replace these.
    this.#queries?.use((queries) => queries.foundOthers());
    this.#replica.hydrate(rows, Math.max(1, cursor?.last_seq ?? 0), session);
  }

  /** Waits while it connects. */
  #connected(): Promise<void> {
    return new Promise((resolve) => {
      const isOver = (): boolean => !this.#isStarted || this.#state !== "connecting";
      if (isOver()) return resolve();
      const look = (): void => {
        if (!isOver()) return;
        for (const stop of stops) stop();
        resolve();
      };
      // Stopping the engine ends the wait.
      const stops = [this.#statusChanged.on(look), this.#stopped.on(look)];
    });
  }

  /** Returns a live list of rows in the replica. */
  query(entity: string, options?: QueryOptions): LiveList {
    return liveQuery(this.store, entity, options);
  }

  /**
   * Calls a server function. If the network fails, the call is retried, but executed only once.
   *
   * @throws PylonClientError with the function's code
   */
  fn(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return callFunction(this.#http, this.platform, name, args, this.#newId());
  }

  /**
   * Returns the live result of a query function: it is updated when rows that the function read
   * change. Equal names and arguments share one subscription per page.
   *
   * @throws PylonClientError `UNSENDABLE` for arguments that can't be represented in JSON
   */
  live(name: string, args: Readonly<Record<string, unknown>> = {}): LiveFunction {
    return liveFunction(this.#online, name, args, () => {
      this.#extras.load().catch(() => undefined);
    });
  }

  /**
   * Subscribes to the document of a row, whose frames `onBinaryFrame` receives. Calls are counted,
   * and the subscription is renewed with each connection. `@pylonsync/loro` calls it.
   */
  subscribeCrdt(entity: string, rowId: string): void {
    this.withDocuments((documents) => documents.subscribe({ entity, rowId }));
  }

  /** Ends one subscription of `subscribeCrdt`. */
  unsubscribeCrdt(entity: string, rowId: string): void {
    this.withDocuments((documents) => documents.unsubscribe({ entity, rowId }));
  }

  /** Listens to frames of documents. @returns an unsubscribe function */
  onBinaryFrame(listener: (bytes: Uint8Array) => void): () => void {
    return this.#frames.on(listener);
  }

  /** For packages of Pylon: runs the work with the documents, once their code is loaded. */
  withDocuments(work: (documents: Documents) => void): void {
    this.#extras.use(() => {
      if (this.#documents !== null) work(this.#documents);
    });
    // A running engine loads it again.
    this.#extras.load().catch(() => undefined);
  }

  /** Listens to writes that the server rejected. @returns an unsubscribe function */
  onError(listener: (error: MutationError) => void): () => void {
    return this.mutations.onRefused(listener);
  }

  /** The current status. */
  get status(): SyncStatus {
    return this.#status;
  }
  /** Listens to changes of the status. @returns an unsubscribe function */
  onStatus(listener: (status: SyncStatus) => void): () => void {
    return this.#statusChanged.on(listener);
  }
  /**
   * Sends a request to the server's HTTP API as the signed-in user.
   *
   * @param path an absolute path
   * @throws PylonClientError
   */
  request(method: HttpMethod, path: string, body?: unknown): Promise<unknown> {
    return this.#http.request(method, path, body);
  }

  #restart(): void {
    this.#online.part?.connection.stop();
    this.#replica.drop();
    this.#showPending();
    this.#online.part?.functions.reset();
    if (this.#isStarted) this.#online.part?.connection.start();
  }

  /**
   * For functions of this package: queues a change of the current user, and shows it in the
   * replica.
   *
   * @throws MutationError like `insert`
   */
  async write(
    target: Omit<ClientChange, "op_id" | "data">,
    fields?: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const change = this.#sendable(target, fields);
    const { isOutdated, isInvalidated } = this.#session;
    if (isOutdated && !isInvalidated) this.session.notifyChanged();
    const entry = this.#entryOf(change);
    this.mutations.add(entry);
    const keeping = this.#keep({ ...entry, status: "pending" });
    if (this.#isStarted) this.#online.part?.flush();
    await keeping;
  }

  /**
   * For bindings: shows an expected change of a function while its call is running.
   *
   * @returns the id of the entry in `mutations`, with which it can be ended
   */
  showWhileCalling(change: Omit<ClientChange, "op_id">): string {
    const entry = this.#entryOf(change);
    this.mutations.add(entry, "calling");
    // The real change may arrive before the response: relative changes must not be applied twice.
    this.mutations.show(this.store.resolved([entry.change]));
    return entry.id;
  }

  /** Creates a queue entry for a change of the current user. */
  #entryOf(change: Omit<ClientChange, "op_id">): Omit<PendingMutation, "status"> {
    const id = this.#newId();
    const { authorId: userId, witness } = this.#session;
    return {
      id,
      change: { ...change, op_id: id },
      userId,
      ...(userId === undefined ? { witness } : {}),
    };
  }

  /** Stores a write. @throws as `Persistence.keep` */
  async #keep(entry: PendingMutation): Promise<void> {
    const isLive = (): boolean => this.#state === "live";
    // Before the disk is opened, entries wait in the queue, and are stored when it is opened.
    if (!this.#isStarted) return this.#persistence?.part?.keep(entry, isLive);
    const persistence = await this.#persistence?.load().catch(() => null);
    return persistence?.keep(entry, isLive);
  }

  /** Before the disk is opened there is nothing to change. */
  #onDisk(work: (persistence: Persistence) => void): void {
    if (this.#isStarted) this.#persistence?.use(work);
    else if (this.#persistence?.part) work(this.#persistence.part);
  }

  /**
   * Copies the data, so that later modifications by the app do not change the queue.
   *
   * @throws MutationError for data that can't be sent, after calling `onError`
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

  /** The writes of the current user. */
  #shown(): readonly PendingMutation[] {
    const { visibleUserId, witness } = this.#session;
    return this.mutations
      .all()
      .filter(({ userId, witness: madeWith }) =>
        userId === undefined ? madeWith === witness : userId === visibleUserId,
      );
  }

  #showPending(): void {
    this.store.setPending(this.#shown().map(({ change, shown = change }) => shown));
    this.#updateStatus();
  }

  /** Makes the documents, once their code is loaded, and the persistence. */
  #makeLater(parts: EngineParts): Lazy<Persistence> | null {
    this.#extras.use((loaded) => {
      this.#documents = new loaded.Documents(parts, this.#frames, () => this.#updateStatus());
      if (this.#isStarted) this.#documents.start();
    });
    const { openDisk } = this.platform;
    if (parts.config.persist === false || openDisk === null) return null;
    return new Lazy(
      this.platform,
      async () => {
        const { persistenceOf } = await import("../persistence/kept.ts");
        return persistenceOf(parts, openDisk);
      },
      this.#code.watch(),
    );
  }

  /** The state of the connection. */
  get #state(): ConnectionState {
    return this.#online.part?.connection.state ?? (this.#isCut ? "offline" : "connecting");
  }

  #updateStatus(): void {
    const { hasReplica, isKept } = this.#replica;
    const next: SyncStatus = {
      connection: this.#state,
      ready: hasReplica,
      stale: isKept,
      pending:
        this.#shown().filter(({ status }) => status === "pending").length +
        (this.#documents?.pending ?? 0),
      transport: this.#online.part?.connection.transport ?? this.#transport,
      outdated: this.#code.isOutdated,
    };
    if (JSON.stringify(next) === JSON.stringify(this.#status)) return;
    this.#status = next;
    this.#statusChanged.emit(next);
  }
}

/** The browser sends cookies to another origin only if requested. */
function withCookies(platform: Platform): Platform {
  return {
    ...platform,
    fetch: (url, init) => platform.fetch(url, { ...init, credentials: "include" }),
  };
}

/**
 * Creates an engine, which is idle until its `start` is called.
 *
 * @param baseUrl the origin of the server
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
