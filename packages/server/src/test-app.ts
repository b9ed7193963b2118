/**
 * An app without ports, on a clock that a test controls: the basis of `@pylonsync/testing`. Not for
 * production.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import type { FnDefinition, HttpDefinition } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { compileApp, type CompiledApp } from "./app/compile-app.ts";
import { loadApp, type LoadedApp } from "./app/load-app.ts";
import { assemble } from "./assembly/assemble.ts";
import { fieldCipher } from "./assembly/field-cipher.ts";
import type { ServerParts } from "./assembly/server-parts.ts";
import type { Config } from "./config/config.ts";
import { loadConfig } from "./config/load-config.ts";
import type { Writer } from "./data/writer.ts";
import { Reads } from "./data/reads.ts";
import { webhookOf } from "./functions/routes.ts";
import { fileSettings } from "./files/file-settings.ts";
import { openStorage } from "./files/open-storage.ts";
import { ANONYMOUS, type Caller } from "./identity/identity.ts";
import { DevMailbox, type ReceivedMail } from "./mail/dev-mailbox.ts";
import { ManualPlatform } from "./manual-platform.ts";
import { Log } from "./observe/log.ts";
import { openStore } from "./open-store.ts";
import { systemPlatform } from "./platform.ts";
import { resolvePlugins } from "./plugins/plugin-config.ts";
import { ROOM_TIMES } from "./rooms/room-store.ts";
import type { Endpoint } from "./request/endpoint.ts";
import { Transfers } from "./request/transfers.ts";
import { SERVER_VERSION } from "./server.ts";
import { checkedId, splitId } from "./schema/row-input.ts";
import { migrateToManifest } from "./store/migrate-to-manifest.ts";
import type { Store } from "./store/store.ts";
import { PylonStartError } from "./start-error.ts";

/** The read operations on an app's rows. */
export type TestRead = "get" | "list" | "lookup" | "query" | "count" | "aggregate" | "paginate";
/** The write operations on an app's rows. */
export type TestWrite = "insert" | "update" | "delete" | "link" | "unlink";

/** The caller of a test: a part of a Caller. Null: no policy applies. */
export type TestCaller = Partial<Caller> | null;

/** A request to a webhook. */
export interface TestWebhook {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A request to an HTTP function. */
export interface TestHttpRequest {
  readonly method: string;
  /** The path, with the query string. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64; null: no body. */
  readonly body: string | null;
}

/** The response of an HTTP function. */
export interface TestHttpAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Base64. */
  readonly body: string;
}

/** An app for tests: everything is JSON, so that it can be used over a pipe too. */
export interface ServerTestApp {
  run(name: string, args: unknown, caller: TestCaller): Promise<unknown>;
  /** Calls a function as a webhook. */
  webhook(name: string, request: TestWebhook): Promise<unknown>;
  /** Sends a request to an HTTP function, and reads its whole response. */
  http(request: TestHttpRequest, caller: TestCaller): Promise<TestHttpAnswer>;
  read(method: TestRead, args: readonly unknown[], caller: TestCaller): Promise<unknown>;
  write(method: TestWrite, args: readonly unknown[], caller: TestCaller): Promise<unknown>;
  /** Whether the policies allow the caller this write; nothing is written. */
  mayWrite(method: TestWrite, args: readonly unknown[], caller: TestCaller): Promise<boolean>;
  /** Advances the time, and runs the jobs and crons that become due. */
  advance(ms: number): Promise<void>;
  /** Milliseconds since 1970. */
  now(): number;
  /** The mails that were sent, the newest first. */
  mails(): readonly ReceivedMail[];
  close(): Promise<void>;
}

/** How an app is opened for tests. */
export interface TestAppOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The start time, in milliseconds since 1970. */
  readonly now?: number | undefined;
  /** The folder of the functions, relative to the app's folder; default `functions`. */
  readonly functionsDir?: string | undefined;
}

/** An app that a test defines itself, instead of a folder. */
export interface TestAppDefinition {
  readonly manifest: object;
  readonly functions?: Readonly<Record<string, FnDefinition | HttpDefinition>>;
}

/** The maximum duration of due jobs, in milliseconds of the real clock. */
const MAX_SETTLE_MS = 10_000;

/** The origin of the requests to HTTP functions. */
const ORIGIN = "http://localhost";

/** Thrown to roll back a write that was only tried. */
const UNDO = new Error("Only tried.");

/**
 * Opens an app in memory.
 *
 * @param source its folder, or the app itself
 * @throws PylonStartError with the first mistake of the app, AppNotFoundError
 */
export async function openTestApp(
  source: string | TestAppDefinition,
  { env = {}, now, functionsDir }: TestAppOptions = {},
): Promise<ServerTestApp> {
  const loaded =
    typeof source === "string"
      ? await loadApp(source, {
          dev: true,
          ...(functionsDir === undefined ? {} : { functionsDir }),
        })
      : loadedOf(source);
  const { app, diagnostics } = compileApp(loaded, {
    dev: true,
    cipher: fieldCipher({ dev: true, encryptionSecret: null }, systemPlatform, {
      error: () => undefined,
    }),
  });
  const mistake = diagnostics.find(({ severity }) => severity === "error");
  if (app === null) throw new PylonStartError(mistake?.message ?? "The app is not valid.");
  const platform = new ManualPlatform(now);
  const config = loadConfig({
    PYLON_FN_RATE_LIMIT_MAX: "0",
    ...env,
    PYLON_IN_MEMORY: "1",
    PYLON_DEV_MODE: "1",
  });
  const log = errorLog(platform);
  const settings = fileSettings(
    config.files,
    resolvePlugins(app.manifest.plugins ?? [], env).get("file_storage"),
  );
  const store = await openMigrated(config, app);
  const mailer = new DevMailbox(platform.now, () => undefined);
  const parts = assemble(
    store,
    { current: app, problems: [] },
    {
      config,
      env,
      log,
      platform,
      mailer,
      mails: { sent: 0, failed: 0 },
      telemetry: null,
      version: SERVER_VERSION,
      oauthEndpoints: undefined,
      roomTimes: ROOM_TIMES,
      files: { settings, storage: await openStorage(settings, log, platform) },
      isTimeVirtual: true,
    },
  );
  await parts.startJobs();
  const folder = config.database.kind === "sqlite" ? dirname(config.database.path) : null;
  return new OpenTestApp({ app, store, parts, platform, mailer, folder });
}

function errorLog({ now, every }: ManualPlatform): Log {
  const write = (line: string): boolean => process.stderr.write(`${line}\n`);
  return new Log({ level: "error", format: "text", now, every, write });
}

/** Uses the machine's clock, because nothing advances the test's clock meanwhile. */
async function openMigrated({ database }: Config, { manifest }: CompiledApp): Promise<Store> {
  const store = await openStore(database, {
    observer: null,
    platform: systemPlatform,
    startTimeoutMs: 0,
    onState: () => undefined,
  });
  await migrateToManifest(store, manifest, {
    dev: true,
    pylonVersion: SERVER_VERSION,
    platform: systemPlatform,
  });
  return store;
}

/** Returns the definition as the loader would. */
function loadedOf({ manifest, functions = {} }: TestAppDefinition): LoadedApp {
  const all = Object.entries(functions);
  return {
    dir: ".",
    manifest: JSON.parse(JSON.stringify(manifest)),
    manifestModule: manifest,
    functions: new Map(
      all.flatMap(([name, one]): [string, FnDefinition][] =>
        one.type === "http" ? [] : [[name, one]],
      ),
    ),
    http: new Map(
      all.flatMap(([name, one]): [string, HttpDefinition][] =>
        one.type === "http" ? [[name, one]] : [],
      ),
    ),
    workflows: new Map(),
    shards: new Map(),
    web: null,
    diagnostics: [],
  };
}

interface TestAppParts {
  readonly app: CompiledApp;
  readonly store: Store;
  readonly parts: ServerParts;
  readonly platform: ManualPlatform;
  readonly mailer: DevMailbox;
  /** The folder of the database, which is deleted with it. */
  readonly folder: string | null;
}

class OpenTestApp implements ServerTestApp {
  readonly #own: TestAppParts;
  readonly #bodies: Transfers;
  #calls = 0;

  constructor(own: TestAppParts) {
    this.#own = own;
    this.#bodies = new Transfers(Infinity, own.platform);
  }

  async run(name: string, args: unknown, caller: TestCaller): Promise<unknown> {
    const { app, parts } = this.#own;
    const definition = app.functions.get(name) ?? parts.runner.find(name);
    this.#calls += 1;
    const { value } = await parts.runner.run(name, definition, args, {
      caller: callerOf(caller),
      readerShare: () => "test",
      requestId: `test_${this.#calls}`,
      // Functions that no external caller can reach are trusted.
      isTrusted: definition.internal === true,
    });
    return value;
  }

  async webhook(name: string, { method, headers, body }: TestWebhook): Promise<unknown> {
    const { runner } = this.#own.parts;
    const definition = runner.find(name);
    webhookOf(name, definition, method);
    this.#calls += 1;
    const path = `/api/webhooks/${name}`;
    const request = {
      method,
      path,
      headers: Object.fromEntries(new Headers(headers)),
      rawBody: body,
    };
    const call = {
      caller: ANONYMOUS,
      readerShare: () => "test",
      requestId: `test_${this.#calls}`,
      request,
    };
    return (await runner.run(name, definition, { rawBody: body }, call)).value;
  }

  async http(
    { method, path, headers, body }: TestHttpRequest,
    caller: TestCaller,
  ): Promise<TestHttpAnswer> {
    const bytes = body === null ? null : Buffer.from(body, "base64");
    const request = new Request(new URL(path, ORIGIN), {
      method,
      ...(bytes === null
        ? { headers }
        : { headers: { "Content-Length": String(bytes.length), ...headers }, body: bytes }),
    });
    this.#calls += 1;
    const response = await this.#respond(request, caller, `test_${this.#calls}`);
    return {
      status: response.status,
      headers: [...response.headers],
      body: Buffer.from(await response.arrayBuffer()).toString("base64"),
    };
  }

  async #respond(request: Request, caller: TestCaller, requestId: string): Promise<Response> {
    const { pathname } = new URL(request.url);
    const { endpoints } = this.#own.parts.services;
    try {
      const found = endpoints(pathname);
      if (found.length === 0)
        throw new PylonError("NOT_FOUND", `No HTTP function has the path ${pathname}.`);
      const endpoint = found.find((one) => one.takes(request.method));
      if (endpoint === undefined) throw methodNotAllowed(request.method, found);
      // As on a server, where a public function does not read the token.
      const by = endpoint.signIn === "nothing" ? ANONYMOUS : callerOf(caller);
      return await endpoint.answer({
        request,
        identity: { caller: by, sessionId: null, expiresAt: Infinity },
        address: () => "127.0.0.1",
        requestId,
        bodies: this.#bodies,
        key: () => "test",
      });
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      const body = { error: { ...error.toBody().error, request_id: requestId } };
      return Response.json(body, { status: error.status });
    }
  }

  async read(method: TestRead, args: readonly unknown[], caller: TestCaller): Promise<unknown> {
    const { app, store, platform } = this.#own;
    const reads = new Reads(store, app.model, {
      caller: callerOf(caller),
      policies: caller === null ? "bypassed" : "enforced",
      now: platform.now(),
      monotonic: platform.monotonic,
    });
    const [entity, second, third] = args;
    const name = String(entity);
    switch (method) {
      case "get":
        return reads.get(name, String(second));
      case "list":
        return reads.list(name);
      case "lookup":
        return reads.lookup(name, String(second), third);
      case "query":
        return reads.query(name, second ?? {});
      case "count":
        return reads.count(name, second ?? {});
      case "aggregate":
        return reads.aggregate(name, second);
      case "paginate":
        return reads.paginate(name, second ?? {});
    }
  }

  async write(method: TestWrite, args: readonly unknown[], caller: TestCaller): Promise<unknown> {
    const { result } = await this.#own.parts.committer.commit(
      { caller: callerOf(caller), policies: caller === null ? "bypassed" : "enforced" },
      (writer) => writeBy(writer, method, args),
    );
    return result;
  }

  async mayWrite(
    method: TestWrite,
    args: readonly unknown[],
    caller: TestCaller,
  ): Promise<boolean> {
    let result: unknown;
    try {
      await this.#own.parts.committer.commit({ caller: callerOf(caller) }, async (writer) => {
        result = await writeBy(writer, method, args);
        throw UNDO;
      });
    } catch (error) {
      if (error instanceof PylonError && error.code === "POLICY_DENIED") return false;
      if (error !== UNDO) throw error;
    }
    // An update of a row that the caller can't see finds none.
    return result !== false;
  }

  async advance(ms: number): Promise<void> {
    const { parts, platform } = this.#own;
    const end = platform.now() + ms;
    await this.#settle();
    for (;;) {
      const next = await parts.jobs.nextDue();
      if (next === null || next > end) break;
      platform.advance(Math.max(0, next - platform.now()));
      await this.#settle();
    }
    platform.advance(Math.max(0, end - platform.now()));
    await this.#settle();
  }

  now(): number {
    return this.#own.platform.now();
  }

  mails(): readonly ReceivedMail[] {
    return this.#own.mailer.mails;
  }

  async close(): Promise<void> {
    const { parts, store, folder } = this.#own;
    parts.watchdog.stop();
    await Promise.all([this.#stopJobs(), parts.isolation.stop()]);
    await store.close();
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }

  /** Advances the clock until they have stopped, because they may wait for it. */
  async #stopJobs(): Promise<void> {
    const stopped = this.#own.parts.jobs.stop(0);
    this.#own.platform.advance(1);
    await stopped;
  }

  /** Runs what is due now, and what becomes due as a result. */
  async #settle(): Promise<void> {
    const { parts, platform } = this.#own;
    const { soon, monotonic } = systemPlatform;
    const started = monotonic();
    for (;;) {
      parts.jobs.wake([0]);
      platform.advance(0);
      await new Promise<void>((resolve) => soon(resolve));
      const next = await parts.jobs.nextDue();
      if (parts.jobs.runningHere === 0 && (next === null || next > platform.now())) return;
      if (monotonic() - started > MAX_SETTLE_MS)
        throw new Error(`The jobs that are due did not end within ${MAX_SETTLE_MS / 1000} s.`);
    }
  }
}

function methodNotAllowed(method: string, found: readonly Endpoint[]): PylonError {
  return new PylonError("METHOD_NOT_ALLOWED", `Method ${method} is not allowed here.`, {
    hint: `Allowed: ${found.flatMap(({ methods }) => methods).join(", ")}.`,
  });
}

function callerOf(caller: TestCaller): Caller {
  return caller === null ? ANONYMOUS : { ...ANONYMOUS, ...caller };
}

async function writeBy(
  writer: Writer,
  method: TestWrite,
  [entity, second, third, fourth]: readonly unknown[],
): Promise<unknown> {
  const name = String(entity);
  switch (method) {
    case "insert": {
      const { id, fields } = splitId(second);
      return writer.insert(name, fields, checkedId(id));
    }
    case "update":
      return writer.update(name, String(second), third);
    case "delete":
      return writer.delete(name, String(second));
    case "link":
      return writer.link(name, String(second), String(third), String(fourth));
    case "unlink":
      return writer.unlink(name, String(second), String(third));
  }
}
