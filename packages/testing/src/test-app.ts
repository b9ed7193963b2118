// For `await using`: a project's own libraries need not contain it.
/// <reference lib="esnext.disposable" preserve="true" />
import type { FnDefinition, HttpDefinition } from "@pylonsync/functions";
import type {
  ActionName,
  Manifest,
  MutationName,
  QueryName,
  ServerArgs,
  ServerResult,
} from "@pylonsync/sdk";
import { parseDuration } from "@pylonsync/workflows";
import type { Backend } from "./backend.ts";

/** An app that is defined in the test instead of a folder. Only with Bun. */
export interface AppDefinition {
  readonly manifest: Manifest;
  readonly functions?: Readonly<Record<string, FnDefinition | HttpDefinition>>;
}

/** The acting user: a user id, or more properties of `auth` in policies. */
export type TestUser =
  | string
  | {
      readonly userId: string | null;
      readonly tenantId?: string | null;
      readonly roles?: readonly string[];
      readonly isGuest?: boolean;
      readonly isAdmin?: boolean;
    };

/** A row. */
export type TestRow = Readonly<Record<string, unknown>> & { readonly id: string };
type Values = Readonly<Record<string, unknown>>;

/** A function of the app: a reference from `pylon.client.ts`, or its name. */
type AppFunction = QueryName | MutationName | ActionName;
/** Excludes names that are not literals, which have no known types. */
type KnownName<N extends string> = string extends N ? never : N;
/** The caller of a function. */
interface RunOptions {
  readonly as?: TestUser | null;
}
/** The arguments after the name of a function. */
type RunArgs<A, Options extends readonly unknown[]> =
  Record<never, never> extends A ? [args?: A, ...Options] : [args: A, ...Options];

/** A request to a webhook. */
export interface TestWebhookRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request to an HTTP function. */
export interface TestHttpRequest {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Statuses whose responses have no body. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** An email that the app sent; it did not leave the machine. */
export interface TestMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** ISO 8601. */
  readonly at: string;
}

/** Reads and writes rows as one caller. */
export class TestRows {
  readonly #backend: Backend;
  readonly #caller: object | null;

  /** @param caller null: policies do not apply */
  constructor(backend: Backend, caller: object | null) {
    this.#backend = backend;
    this.#caller = caller;
  }

  /** @returns null for a row that does not exist, or that the caller may not read */
  async get(entity: string, id: string): Promise<TestRow | null> {
    return (await this.#read("get", entity, id)) as TestRow | null;
  }

  /** Returns all rows that the caller may read. */
  async list(entity: string): Promise<TestRow[]> {
    return (await this.#read("list", entity)) as TestRow[];
  }

  /** Returns the matching rows that the caller may read. @param filter as for `ctx.db.query` */
  async query(entity: string, filter: Values = {}): Promise<TestRow[]> {
    return (await this.#read("query", entity, filter)) as TestRow[];
  }

  /** Counts the matching rows that the caller may read. */
  async count(entity: string, filter: Values = {}): Promise<number> {
    return Number(await this.#read("count", entity, filter));
  }

  /** @returns the new row's id. @throws PylonError such as POLICY_DENIED */
  async insert(entity: string, row: Values): Promise<string> {
    return String(await this.#write("insert", entity, row));
  }

  /** @returns whether the row existed for the caller. @throws PylonError such as POLICY_DENIED */
  async update(entity: string, id: string, patch: Values): Promise<boolean> {
    return (await this.#write("update", entity, id, patch)) === true;
  }

  /** @returns whether the row existed for the caller. @throws PylonError such as POLICY_DENIED */
  async delete(entity: string, id: string): Promise<boolean> {
    return (await this.#write("delete", entity, id)) === true;
  }

  protected async mayWrite(method: string, ...args: readonly unknown[]): Promise<boolean> {
    return (await this.#backend.call("mayWrite", [method, args, this.#caller])) === true;
  }

  #read(method: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#backend.call("read", [method, args, this.#caller]);
  }

  #write(method: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#backend.call("write", [method, args, this.#caller]);
  }
}

/** The response of an HTTP function, with its body in base64. */
interface HttpAnswer {
  readonly status: number;
  readonly headers: [name: string, value: string][];
  readonly body: string;
}

/** A user of the app under test: policies apply. */
export class TestClient extends TestRows {
  readonly #backend: Backend;
  readonly #caller: object;

  constructor(backend: Backend, caller: object) {
    super(backend, caller);
    this.#backend = backend;
    this.#caller = caller;
  }

  /**
   * Calls a function as this user, subject to its `auth`.
   *
   * @throws PylonError as the caller would receive it
   */
  run<N extends AppFunction>(
    name: KnownName<N>,
    ...call: RunArgs<ServerArgs<N>, []>
  ): Promise<ServerResult<N>>;
  /** For a name that is only known at runtime. */
  run<T = unknown>(name: string, args?: Values): Promise<T>;
  run(name: string, args: unknown = {}): Promise<unknown> {
    return this.#backend.call("run", [name, args, this.#caller]);
  }

  /**
   * Sends a request to an HTTP function as this user, who counts only if the function has an
   * `auth` or `cookies`, as on a server.
   *
   * @param path with the query string; without a `path` of the function `/api/http/NAME`
   * @returns its response, or that of an error: a refusal does not throw
   */
  async fetch(
    path: string,
    { method = "GET", headers = {}, body }: TestHttpRequest = {},
  ): Promise<Response> {
    const sent = body === undefined ? null : Buffer.from(body).toString("base64");
    const request = { method, path, headers, body: sent };
    const answer = (await this.#backend.call("http", [request, this.#caller])) as HttpAnswer;
    return new Response(
      WITHOUT_BODY.has(answer.status) ? null : Buffer.from(answer.body, "base64"),
      { status: answer.status, headers: answer.headers },
    );
  }

  /** @param row the id, or a row with an id */
  async canRead(entity: string, row: string | { readonly id: string }): Promise<boolean> {
    return (await this.get(entity, idOf(row))) !== null;
  }

  /** Whether the policies allow this user to insert the row. Nothing is written. */
  canInsert(entity: string, row: Values): Promise<boolean> {
    return this.mayWrite("insert", entity, row);
  }

  /** Whether the policies allow an update of an existing row. Nothing is written. */
  canUpdate(
    entity: string,
    row: string | { readonly id: string },
    patch: Values,
  ): Promise<boolean> {
    return this.mayWrite("update", entity, idOf(row), patch);
  }

  /** Whether the policies allow deleting the row. Nothing is written. */
  canDelete(entity: string, row: string | { readonly id: string }): Promise<boolean> {
    return this.mayWrite("delete", entity, idOf(row));
  }
}

/** An app under test, in memory. */
export class TestApp implements AsyncDisposable {
  readonly #backend: Backend;
  /** All rows, without policies: to prepare a test, and to check its results. */
  readonly db: TestRows;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.db = new TestRows(backend, null);
  }

  /** Returns a client for a user, who need not have signed up. @param user null: anonymous */
  as(user: TestUser | null): TestClient {
    const caller = user === null ? {} : typeof user === "string" ? { userId: user } : user;
    return new TestClient(this.#backend, caller);
  }

  /**
   * Calls a function, including internal ones, subject to its `auth`. `as` sets the user; without
   * it the call is anonymous.
   *
   * @throws PylonError as the caller would receive it
   * @example await t.run(api.messages.send, { text: "hello" }, { as: "ann" });
   */
  run<N extends AppFunction>(
    name: KnownName<N>,
    ...call: RunArgs<ServerArgs<N>, [options?: RunOptions]>
  ): Promise<ServerResult<N>>;
  /** For a name that is only known at runtime. */
  run<T = unknown>(name: string, args?: Values, options?: RunOptions): Promise<T>;
  run(name: string, args: Values = {}, { as = null }: RunOptions = {}): Promise<unknown> {
    return this.as(as).run<unknown>(name, args);
  }

  /**
   * Sends an anonymous request to an action with a webhook; the default `method` is POST.
   *
   * @returns the action's return value
   * @throws PylonError as the sender would receive it
   * @example await t.webhook("stripe.webhook", { headers: { "X-Signature": text }, body });
   */
  webhook(
    name: string,
    { method = "POST", headers = {}, body = "" }: TestWebhookRequest = {},
  ): Promise<unknown> {
    return this.#backend.call("webhook", [name, { method, headers, body }]);
  }

  /**
   * Sends an anonymous request to an HTTP function.
   *
   * @param path with the query string; without a `path` of the function `/api/http/NAME`
   * @returns its response, or that of an error: a refusal does not throw
   * @example await t.fetch("/api/http/hooks/github", { method: "POST", headers, body });
   */
  fetch(path: string, request: TestHttpRequest = {}): Promise<Response> {
    return this.as(null).fetch(path, request);
  }

  /**
   * Advances the time, and runs jobs, crons and workflows that become due, each at its time.
   *
   * @param duration milliseconds, or a string such as `30s`, `5m`, `1h`, `2d`
   */
  async advance(duration: number | string): Promise<void> {
    const ms = typeof duration === "number" ? duration : parseDuration(duration);
    if (!Number.isFinite(ms) || ms < 0) throw new RangeError("The duration must not be negative.");
    await this.#backend.call("advance", [ms]);
  }

  /** Returns the current time of the app. */
  async now(): Promise<Date> {
    return new Date(Number(await this.#backend.call("now", [])));
  }

  /** Returns the emails that were sent, the oldest first. */
  async mails(): Promise<TestMail[]> {
    return ((await this.#backend.call("mails", [])) as TestMail[]).toReversed();
  }

  /** Resets the database to empty, and the time to the initial time. */
  async reset(): Promise<void> {
    await this.#backend.call("reset", []);
  }

  /** Closes the app. `await using` calls it automatically. */
  close(): Promise<void> {
    return this.#backend.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function idOf(row: string | { readonly id: string }): string {
  return typeof row === "string" ? row : row.id;
}
