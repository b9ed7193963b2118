import {
  type LiveRequestSchema,
  MAX_SUBSCRIBE_BYTES,
  MAX_SUBSCRIPTIONS,
  PylonError,
  SubscribeFunctionSchema,
  SubscribeSchema,
  UnsubscribeSchema,
  type Joined,
  type LiveError,
  type Subscribe,
} from "@pylonsync/protocol";
import { bind, QueryError } from "@pylonsync/query";
import * as v from "valibot";
import type { MessageRefusal, Subscriber } from "../../connections/subscriber.ts";
import type { Platform } from "../../platform.ts";
import { rewind } from "../../policy/rewind.ts";
import { parseJson } from "../../request/body.ts";
import type { CommitBatch } from "../commit-batch.ts";
import { PositionPassed } from "../position-reader.ts";
import type { ChangeRecord, Reader } from "../../store/store.ts";
import { isRecord } from "../../util/is-record.ts";
import type { LiveFunctionCalls } from "../live-functions/calls.ts";
import { LiveFunction } from "../live-functions/live-function.ts";
import { LiveFunctions } from "../live-functions/live-functions.ts";
import { Subscription } from "../subscriptions/subscription.ts";
import { IncludeTrees } from "./include-trees.ts";
import { LiveConnection, type Subscribed } from "./live-connection.ts";
import { Loader, type Joiner, type LoaderOptions } from "./loader.ts";
import { parseQuery } from "./parse-query.ts";
import type { SocketPushes } from "./socket-pushes.ts";

/** How long a window that lost a row may be read, in milliseconds: the feed waits for it. */
const REFILL_MS = 1_000;

const HINT = "See docs/sync.md for the messages of a live socket.";
const OwnSchema = v.looseObject({ type: v.picklist(["subscribe", "unsubscribe", "ping", "push"]) });

type RefusalText = Omit<LiveError, "type" | "id" | "retry_after_secs">;

/** What live queries are loaded with. */
export interface LiveQueriesOptions extends Omit<LoaderOptions, "onFailure" | "trees"> {
  readonly onError: (error: unknown) => void;
}

/** The connections of version 2: what they ask for, and the subscriptions that they are in. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions;
  readonly #loader: Loader;
  readonly #trees: IncludeTrees;
  readonly #connections = new Map<Subscriber, LiveConnection>();
  /** Null where there are none to call. */
  #functions: LiveFunctions | null = null;
  /** Null where nothing is pushed. */
  #pushes: SocketPushes | null = null;

  constructor(options: LiveQueriesOptions) {
    this.#options = options;
    this.#trees = new IncludeTrees(options);
    this.#loader = new Loader({
      ...options,
      trees: this.#trees,
      onFailure: (subscription, joiners, error) => this.#fail(subscription, joiners, error),
    });
  }

  /** From now on clients may subscribe to functions. */
  serveFunctions(
    calls: LiveFunctionCalls,
    platform: Pick<Platform, "monotonic" | "after" | "uuid">,
  ): void {
    const { line, registry, onError } = this.#options;
    this.#functions = new LiveFunctions({
      calls,
      line,
      platform,
      nextNumber: () => registry.nextNumber(),
      onRefused: (connection, one, error) => this.#end(connection, one, error),
      onError,
    });
  }

  /** From now on clients may push over their sockets. */
  servePushes(pushes: SocketPushes): void {
    this.#pushes = pushes;
  }

  /** Whether the client may push over this connection, which must be a socket. */
  takesPushes({ transport }: Subscriber): boolean {
    return this.#pushes !== null && transport === "websocket";
  }

  /** A change is delivered: what it touches is run by the next `runFunctions`. */
  changed(record: ChangeRecord): void {
    this.#functions?.changed(record);
  }

  /** What functions have read has changed, though it is in no log: they run again. */
  outdate(entity: string, id: string): void {
    this.#functions?.changed({ entity, before: null, after: { id } });
    this.#functions?.flush();
  }

  /** Runs the functions that changes have touched. */
  runFunctions(): void {
    this.#functions?.flush();
  }

  /** Runs all functions: their code may be another. */
  rerunFunctions(): void {
    this.#functions?.rerunAll();
  }

  join(subscriber: Subscriber): void {
    this.#connections.set(subscriber, new LiveConnection(subscriber));
  }

  leave(subscriber: Subscriber): void {
    const connection = this.#connections.get(subscriber);
    if (connection === undefined) return;
    this.#connections.delete(subscriber);
    for (const subscription of connection.subscriptions) this.#part(connection, subscription);
  }

  /** Takes a message of a client. @returns whether it was about subscriptions */
  receive(subscriber: Subscriber, text: string): boolean {
    const connection = this.#connections.get(subscriber);
    if (connection === undefined) return false;
    const message = parsed(text);
    if (!isRecord(message)) {
      connection.refuse(0, {
        code: "INVALID_JSON",
        message: "The message must be a JSON object.",
        hint: HINT,
      });
      return true;
    }
    if (!v.is(OwnSchema, message)) return false;
    if (message.type === "push") return this.#push(subscriber, message, text.length);
    if (text.length > MAX_SUBSCRIBE_BYTES)
      connection.refuse(idOf(message), {
        code: "PAYLOAD_TOO_LARGE",
        message: `The message has more than ${MAX_SUBSCRIBE_BYTES} characters.`,
        hint: "Omit known to receive all rows.",
      });
    else if (message.type === "ping")
      connection.send({ type: "pong", seq: this.#options.line.position });
    else this.#request(connection, message);
    return true;
  }

  /** @returns whether pushes are taken */
  #push(subscriber: Subscriber, message: object, length: number): boolean {
    const pushes = this.#pushes;
    if (pushes === null || !this.takesPushes(subscriber)) return false;
    const received = { id: idOf(message), message, length };
    const mayStay = (): Promise<boolean> => this.#options.line.mayStay(subscriber);
    void pushes.take(subscriber, received, mayStay);
    return true;
  }

  /** Says why a message was not taken. */
  refuse(subscriber: Subscriber, refusal: MessageRefusal): void {
    this.#connections.get(subscriber)?.refuse(0, refusal);
  }

  /** Reads the rows that windows lack after a batch, and the related rows of those that are new. */
  async refill(batch: CommitBatch): Promise<void> {
    for (const subscription of [...batch.lacking()])
      await this.#orBeginAgain(subscription, batch, (reader) =>
        this.#refillWindow(subscription, reader),
      );
    for (const root of [...batch.trees()])
      await this.#orBeginAgain(root, batch, (reader) => this.#trees.settle(root, batch, reader));
  }

  /** Does a part of what a batch does to a subscription that somebody is in. */
  async #orBeginAgain(
    subscription: Subscription,
    batch: CommitBatch,
    step: (reader: Reader) => Promise<void>,
  ): Promise<void> {
    if (subscription.members.size === 0) return;
    const limits = { caller: `window ${subscription.number}`, timeoutMs: REFILL_MS };
    try {
      await step(this.#options.store.limitedReader(limits));
    } catch (error) {
      for (const part of subscription.parts) batch.drop(part);
      if (error instanceof PositionPassed || isTransient(error)) this.reload(subscription);
      else this.#fail(subscription, this.#joinersOf(subscription), error);
    }
  }

  async #refillWindow({ truth, query, window }: Subscription, reader: Reader): Promise<void> {
    const { delivery, now } = this.#options;
    const bound = bind(truth, { now: new Date(now()).toISOString() });
    window?.refill(
      await delivery.reader.with(reader).select({
        entity: query.entity,
        condition: (later) => rewind(bound, later),
        order: query.order,
        limit: window.limit + 1,
      }),
    );
  }

  /** Reads the subscription again for all its members. */
  reload({ root: subscription }: Subscription): void {
    const joiners = this.#joinersOf(subscription);
    for (const { members, loads } of subscription.parts) {
      members.clear();
      // Rows that are being read may lack the change that could not be applied.
      for (const load of loads) load.invalidate();
    }
    for (const joiner of joiners) {
      joiner.connection.send({ type: "resync", sub: subscription.number });
      this.#loader.join(subscription, joiner);
    }
  }

  #joinersOf({ members }: Subscription): Joiner[] {
    return [...members].flatMap((subscriber) => {
      const connection = this.#connections.get(subscriber);
      return connection === undefined ? [] : [{ connection, known: undefined }];
    });
  }

  #request(connection: LiveConnection, message: object): void {
    const result = parseRequest(message);
    const id = idOf(message);
    if (!result.success) {
      connection.refuse(id, {
        code: "INVALID_QUERY",
        message: `The message is not valid: ${reasonOf(result.issues[0])}.`,
        hint: HINT,
      });
      return;
    }
    const request = result.output;
    if (request.type === "unsubscribe") {
      const subscription = connection.delete(request.id);
      if (subscription !== null) this.#part(connection, subscription);
      return;
    }
    try {
      this.#checkRoom(connection, request.id);
      if ("function" in request) {
        if (this.#functions === null)
          throw new PylonError("FUNCTIONS_NOT_AVAILABLE", "This server has no functions.");
        this.#functions.subscribe(connection, request);
      } else this.#subscribe(connection, request);
    } catch (error) {
      this.#refuse(connection, request.id, error);
    }
  }

  /** @throws PylonError when the connection can't have another subscription by this id */
  #checkRoom(connection: LiveConnection, id: number): void {
    if (connection.has(id))
      throw new PylonError("INVALID_QUERY", `The id ${id} is in use by another subscription.`, {
        field: "id",
      });
    if (connection.size >= MAX_SUBSCRIPTIONS)
      throw new PylonError(
        "SUBSCRIPTION_LIMIT_REACHED",
        `A connection may have at most ${MAX_SUBSCRIPTIONS} subscriptions.`,
        { hint: "Unsubscribe from queries that are no longer shown." },
      );
  }

  #subscribe(connection: LiveConnection, request: Subscribe): void {
    const { id, known } = request;
    const query = parseQuery(request, this.#options.model(), connection.subscriber.caller);
    const subscription = this.#options.registry.acquire(query, connection.subscriber.caller);
    connection.add(id, subscription);
    connection.send({ type: "joined", id, ...joinedOf(subscription) });
    this.#loader.join(subscription, { connection, known });
  }

  #part(connection: LiveConnection, one: Subscribed): void {
    if (one instanceof LiveFunction) this.#functions?.part(connection, one);
    if (!(one instanceof Subscription)) return;
    for (const { members } of one.parts) members.delete(connection.subscriber);
    this.#options.registry.release(one);
  }

  #fail(subscription: Subscription, joiners: readonly Joiner[], error: unknown): void {
    for (const { connection } of joiners) this.#end(connection, subscription, error);
  }

  /** Says why a subscription ends, to all ids that stand for it. */
  #end(connection: LiveConnection, one: Subscribed, error: unknown): void {
    for (const id of connection.idsOf(one)) {
      connection.delete(id);
      this.#refuse(connection, id, error);
    }
    this.#part(connection, one);
  }

  #refuse(connection: LiveConnection, id: number, error: unknown): void {
    if (error instanceof PylonError || error instanceof QueryError) {
      connection.refuse(id, { ...shownOf(error), ...pauseOf(error) });
      return;
    }
    this.#options.onError(error);
    connection.refuse(id, { code: "INTERNAL", message: "The rows could not be read." });
  }
}

/** Whether rows could not be read in time, or not beside others: the next read may succeed. */
function isTransient(error: unknown): boolean {
  return error instanceof PylonError && ["QUERY_TIMEOUT", "OVERLOADED"].includes(error.code);
}

/** The numbers of a subscription and of the related rows that come along. */
function joinedOf({ number, branches }: Subscription): Joined {
  if (branches.length === 0) return { sub: number };
  const include = branches.map(({ query, subscription }) => [query.name, joinedOf(subscription)]);
  return { sub: number, include: Object.fromEntries(include) };
}

/** Checked as what it means to be, so that a refusal names the field at fault. */
function parseRequest(message: object): v.SafeParseResult<typeof LiveRequestSchema> {
  if ("type" in message && message.type === "unsubscribe")
    return v.safeParse(UnsubscribeSchema, message);
  return "function" in message
    ? v.safeParse(SubscribeFunctionSchema, message)
    : v.safeParse(SubscribeSchema, message);
}

/** The client's id in a message; 0 where it has none. */
function idOf(message: object): number {
  const id = "id" in message ? message.id : undefined;
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : 0;
}

function shownOf({ code, message, hint, field }: PylonError | QueryError): RefusalText {
  return { code, message, hint, field };
}

/** When it is worth to ask again. */
function pauseOf(error: PylonError | QueryError): { readonly retry_after_secs?: number } {
  const seconds = error instanceof PylonError ? error.extra?.["retry_after_secs"] : undefined;
  return typeof seconds === "number" ? { retry_after_secs: seconds } : {};
}

function reasonOf(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
