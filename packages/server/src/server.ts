import type { Manifest } from "@pylonsync/sdk";
import pkg from "../package.json" with { type: "json" };
import { compileApp, type CompiledApp } from "./app/compile-app.ts";
import type { Endpoints } from "./auth/oauth/catalogue.ts";
import { redisUrlOf } from "./cache/redis-url.ts";
import type { LoadedApp } from "./app/load-app.ts";
import type { Config } from "./config/config.ts";
import { policyScans } from "./data/policy-scans.ts";
import { unreadVariablesIn } from "./config/unread-variables.ts";
import type { Environment } from "./config/variable-reader.ts";
import { openMailer, type MailCounts } from "./mail/open-mailer.ts";
import { fileSettings } from "./files/file-settings.ts";
import { openStorage } from "./files/open-storage.ts";
import { Log } from "./observe/log.ts";
import { QueryWatch } from "./observe/query-watch.ts";
import { openTelemetry, type Telemetry } from "./observe/telemetry.ts";
import { systemPlatform, type Platform } from "./platform.ts";
import { resolvePlugins } from "./plugins/plugin-config.ts";
import { receiversOf } from "./webhooks/receivers.ts";
import type { RunningOptions } from "./assembly/base.ts";
import {
  checkEncryptionKey,
  fieldCipher,
  requireEncryptionKey,
  type FieldCipher,
} from "./assembly/field-cipher.ts";
import type { RouteSummary } from "./request/route.ts";
import { ROOM_TIMES, type RoomTimes } from "./rooms/room-store.ts";
import { RunningServer } from "./running-server.ts";
import type { Diagnostic } from "./schema/diagnostic.ts";
import { PylonStartError } from "./start-error.ts";
import { openStore } from "./open-store.ts";
import { migrateToManifest } from "./store/migrate-to-manifest.ts";
import { ServerLock } from "./store/sqlite/server-lock.ts";
import { describeServer, serverNote } from "./store/sqlite/server-note.ts";
import type { Store } from "./store/store.ts";
import { announceReadRules } from "./sync/unbound-cursors.ts";

/**
 * The app, the configuration and the environment of a server.
 *
 * @example const options: ServerOptions = { app: await loadApp("./my-app", { dev: false }), config:
 *   loadConfig(process.env), env: process.env };
 */
export interface ServerOptions {
  readonly app: LoadedApp;
  readonly config: Config;
  /** The environment that functions see as `ctx.env`; default none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Clock, timers and random values; the machine's are used for omitted ones. */
  readonly platform?: Partial<Platform>;
  /** Replacement endpoints by OAuth provider, for tests. */
  readonly oauthEndpoints?: Readonly<Record<string, Partial<Endpoints>>>;
  /** The timeouts of rooms, the same on all replicas of an app. For tests. */
  readonly roomTimes?: Partial<RoomTimes>;
}

/** The outcome of a backup; `leftover`: why an old one could not be deleted afterwards. */
export type BackupOutcome = "made" | { readonly error: unknown } | { readonly leftover: unknown };

/**
 * A server of one app: `start` it, `stop` it, and `reload` it in between, with another version of
 * the app.
 */
export interface PylonServer {
  /** Migrates the database to the app's schema and opens the ports. @throws PylonStartError */
  start(): Promise<void>;
  /**
   * Announces the shutdown on `/readyz`, and continues to serve for PYLON_DRAIN_DELAY_SECS, so that
   * load balancers stop sending requests. Then call `stop`.
   */
  beginDrain(): Promise<void>;
  /** Completes pending requests, closes the sockets, then closes the database. */
  stop(): Promise<void>;
  /**
   * Serves another version of the app without dropping requests.
   *
   * @returns its diagnostics; if one is an error, the old app remains
   */
  reload(app: LoadedApp): Promise<Diagnostic[]>;
  /**
   * In dev mode: shows the errors of the saved version of the app in the pages that a developer has
   * open, which reload by themselves, until the next call. Warnings are not shown.
   */
  showProblems(diagnostics: readonly Diagnostic[]): void;
  /**
   * Logs and counts a backup of its data, or the reason why it failed; also logs why an old one
   * could not be deleted.
   */
  recordBackup(path: string, outcome: BackupOutcome): void;
  /** Deletes old changes, responses and sessions now; this also happens every minute. */
  maintain(): Promise<void>;
  /** `http://localhost:4321` */
  readonly url: string;
  readonly port: number;
  /** Whether it accepts requests: from shortly before `start` resolves until it is stopped. */
  readonly isListening: boolean;
  /** The manifest of the current app. */
  readonly app: Manifest;
  /** The routes that it serves, with the limit of each body. @throws Error before start */
  readonly routes: readonly RouteSummary[];
  /** The diagnostics of the app at the start. */
  readonly diagnostics: readonly Diagnostic[];
}

/** The time for telemetry to send its last data when the start fails, in milliseconds. */
const FLUSH_MS = 500;
/** In production, the database may also be starting. */
const DATABASE_START_TIMEOUT_MS = 30_000;

/**
 * A Pylon server for one app.
 *
 * @example const server = createServer({ app: await loadApp("./my-app", { dev: false }), config:
 *   loadConfig(process.env) }); await server.start();
 */
export function createServer(options: ServerOptions): PylonServer {
  return new Server(options);
}

/** The version of this package. */
export const SERVER_VERSION: string = pkg.version;

/** The addresses of this machine, and those that stand for all of them. */
const LOCALHOST = /^(localhost|127(\.\d{1,3}){3}|0\.0\.0\.0|::1?)$/;

class Server implements PylonServer {
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #platform: Platform;
  readonly #cipher: FieldCipher;
  #diagnostics: readonly Diagnostic[] = [];
  #running: RunningServer | null = null;
  #lock: ServerLock | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#platform = { ...systemPlatform, ...options.platform };
    const { logLevel, logFormat } = options.config;
    this.#log = new Log({
      level: logLevel,
      format: logFormat,
      now: this.#platform.now,
      every: this.#platform.every,
      write: (line) => process.stderr.write(`${line}\n`),
    });
    this.#cipher = fieldCipher(options.config, this.#platform, this.#log);
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }
  /** @throws Error before start */
  get app(): Manifest {
    if (this.#running === null) throw new Error("The server is not running.");
    return this.#running.manifest;
  }
  /** @throws Error before start */
  get routes(): readonly RouteSummary[] {
    if (this.#running === null) throw new Error("The server is not running.");
    return this.#running.routes;
  }
  get port(): number {
    return this.#running?.port ?? this.#options.config.port;
  }
  get isListening(): boolean {
    return this.#running?.isListening ?? false;
  }
  get url(): string {
    const { host } = this.#options.config;
    const name = LOCALHOST.test(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
    return `http://${name}:${this.port}`;
  }

  async start(): Promise<void> {
    this.#lock = await this.#takeLock();
    try {
      await this.#start();
    } catch (error) {
      this.#lock?.[Symbol.dispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { config, env = {} } = this.#options;
    const { app, diagnostics } = compileApp(this.#options.app, {
      dev: config.dev,
      cipher: this.#cipher,
    });
    diagnostics.push(...unreadIn(env));
    this.#diagnostics = diagnostics;
    if (app === null) throw new PylonStartError(firstError(diagnostics));
    const plugins = resolvePlugins(app.manifest.plugins ?? [], env);
    const settings = fileSettings(config.files, plugins.get("file_storage"));
    receiversOf(app.manifest, { env, dev: config.dev });
    const redisUrl = redisUrlOf(plugins.get("cache_client")) ?? config.redisUrl;
    /** Closed when the start fails, the newest first. */
    const opened: (() => unknown)[] = [];
    try {
      const storage = await openStorage(settings, this.#log, this.#platform);
      opened.unshift(() => storage.close());
      const telemetry = await this.#openTelemetry(app.manifest.name);
      opened.unshift(() => telemetry?.stop(FLUSH_MS));
      const store = await this.#openStore(telemetry);
      opened.unshift(() => store.close());
      this.#lock?.note();
      this.#diagnostics = [...diagnostics, ...(await this.#migrate(store, app))];
      await announceReadRules(store, app.model, this.#platform.now);
      this.#running = new RunningServer(store, app, {
        config: { ...config, redisUrl },
        env,
        log: this.#log,
        platform: this.#platform,
        ...this.#openMailer(),
        telemetry,
        version: SERVER_VERSION,
        oauthEndpoints: this.#options.oauthEndpoints,
        roomTimes: { ...ROOM_TIMES, ...this.#options.roomTimes },
        files: { settings, storage },
      });
      await this.#running.open();
    } catch (error) {
      // Everything that was opened is closed here, and not again by a stop.
      this.#running = null;
      for (const close of opened) await close();
      throw error;
    }
    if (config.database.kind === "postgres" && redisUrl === null)
      this.#log.info("REDIS_URL is not set: rate limits and ctx.cache are per replica");
  }

  async #migrate(store: Store, { manifest, model }: CompiledApp): Promise<Diagnostic[]> {
    const { dev } = this.#options.config;
    requireEncryptionKey(model, this.#cipher);
    const diagnostics = await migrateToManifest(store, manifest, {
      dev,
      pylonVersion: SERVER_VERSION,
      platform: this.#platform,
      onProgress: (field, filled) => this.#log.info("filling in rows", { field, filled }),
      opened: (entity, row) => model.schema.entity(entity).sealing.opened(row),
    });
    await checkEncryptionKey(store, model, this.#cipher);
    if (dev) diagnostics.push(...(await policyScans(store, model, manifest, this.#platform.now())));
    return diagnostics;
  }

  /** Null if nothing is exported. */
  async #openTelemetry(name: string): Promise<Telemetry | null> {
    const { telemetry: config } = this.#options.config;
    if (config === null) return null;
    const service = { name, version: SERVER_VERSION };
    return openTelemetry({ config, service, log: this.#log, platform: this.#platform });
  }

  #openStore(telemetry: Telemetry | null): Promise<Store> {
    const { config } = this.#options;
    return openStore(config.database, {
      observer: this.#queryWatch(telemetry),
      platform: this.#platform,
      startTimeoutMs: config.dev ? 0 : DATABASE_START_TIMEOUT_MS,
      onCopy: () =>
        this.#log.warn("the database was restored, or is a copy: clients load a new snapshot"),
      onState: (state, error) => {
        if (state === "back") this.#log.info("database is back");
        else
          this.#log.error(
            state === "lost"
              ? "database unavailable: reads and writes fail until it is back"
              : "database can't be written: reads work, writes fail until it can",
            error,
          );
      },
    });
  }

  #openMailer(): Pick<RunningOptions, "mailer" | "mails"> {
    const { config } = this.#options;
    const mails: MailCounts = { sent: 0, failed: 0 };
    const mailer = openMailer(config.email, {
      dev: config.dev,
      platform: this.#platform,
      log: this.#log,
      counts: mails,
    });
    return { mailer, mails };
  }

  /** Null: the duration of statements is not needed. */
  #queryWatch(telemetry: Telemetry | null): QueryWatch | null {
    const { slowQueryMs, database } = this.#options.config;
    const isWanted = slowQueryMs > 0 || (telemetry !== null && telemetry.recorder !== null);
    return isWanted
      ? new QueryWatch(
          slowQueryMs,
          database.kind === "sqlite" ? "sqlite" : "postgresql",
          this.#log,
          this.#platform,
        )
      : null;
  }

  async beginDrain(): Promise<void> {
    await this.#running?.beginDrain();
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = null;
    this.#lock?.[Symbol.dispose]();
  }

  /** For a SQLite database in a file. @throws PylonStartError when another server uses it */
  async #takeLock(): Promise<ServerLock | null> {
    const { database, dev } = this.#options.config;
    if (database.kind !== "sqlite" || database.isTemporary) return null;
    const lock = await ServerLock.take(database.path, dev ? 0 : DATABASE_START_TIMEOUT_MS, () =>
      this.#log.warn("another server is using the database: waiting for it to stop", {
        path: database.path,
      }),
    );
    if (lock === null)
      throw new PylonStartError(
        `Another server is using the database ${database.path}${noteOf(database.path)}: ` +
          "SQLite supports only one server at a time. Stop it, or share Postgres with " +
          "DATABASE_URL.",
      );
    return lock;
  }

  recordBackup(path: string, outcome: BackupOutcome): void {
    if (outcome !== "made" && "leftover" in outcome)
      return this.#log.error(
        "an old backup could not be deleted: retrying after the next backup",
        outcome.leftover,
        { path },
      );
    this.#running?.countBackup(outcome === "made" ? "made" : "failed");
    if (outcome === "made") this.#log.info("backup made", { path });
    else this.#log.error("backup failed: earlier backups are kept", outcome.error, { path });
  }

  showProblems(diagnostics: readonly Diagnostic[]): void {
    if (!this.#options.config.dev) return;
    this.#running?.showProblems(diagnostics.filter(({ severity }) => severity === "error"));
  }

  async maintain(): Promise<void> {
    await this.#running?.maintain();
  }

  async reload(loaded: LoadedApp): Promise<Diagnostic[]> {
    const { app, diagnostics } = compileApp(loaded, {
      dev: this.#options.config.dev,
      cipher: this.#cipher,
    });
    if (app === null || this.#running === null) return diagnostics;
    if (!Bun.deepEquals(app.manifest.plugins, this.#running.manifest.plugins)) {
      diagnostics.push({
        severity: "warning",
        code: "PLUGINS_CHANGED",
        message: "The settings of plugins changed, but are only read at start.",
        path: "plugins",
        hint: "Restart the server.",
      });
    }
    try {
      diagnostics.push(...(await this.#migrate(this.#running.store, app)));
      const before = this.#running.app;
      this.#running.replace(app);
      await this.#running.runDataMigrations().catch((error: unknown) => {
        this.#running?.replace(before);
        throw error;
      });
      await announceReadRules(this.#running.store, app.model, this.#platform.now);
    } catch (error) {
      if (!(error instanceof PylonStartError)) throw error;
      return [
        ...diagnostics,
        { severity: "error", code: "MIGRATION_REFUSED", message: error.message },
      ];
    }
    return diagnostics;
  }
}

/** Returns a warning for each set variable that nothing reads. */
function unreadIn(env: Environment): Diagnostic[] {
  return unreadVariablesIn(env).map(({ names, instead }) => ({
    severity: "warning",
    code: "VARIABLE_NOT_READ",
    message: `${names.join(", ")}: this server does not read ${names.length > 1 ? "them" : "it"}.`,
    hint: instead,
  }));
}

function firstError(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return "The app is not valid.";
  const where = first.path === undefined ? "" : ` (${first.path})`;
  const hint = first.hint === undefined ? "" : ` ${first.hint}`;
  const more = errors.length > 1 ? ` And ${errors.length - 1} more: see \`pylon doctor\`.` : "";
  return `${first.code}: ${first.message}${where}${hint}${more}`;
}

/** Describes the server that uses a database, if it has left a note. */
function noteOf(path: string): string {
  const note = serverNote(path);
  return note === null ? "" : ` (${describeServer(note)})`;
}
