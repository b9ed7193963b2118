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
import { QueryError } from "@pylonsync/query";
import * as v from "valibot";
import type { MessageRefusal, Subscriber } from "../../connections/subscriber.ts";
import type { DataModel } from "../../data/model.ts";
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
import type { Joiner } from "./loading/joiner.ts";
import { Loader, type LoaderOptions } from "./loading/loader.ts";
import { parseQuery } from "./parse-query.ts";
import type { SocketPushes } from "./socket-pushes.ts";
import {
  checkOrder,
  checkWeight,
  keptCharacters,
  searchesIn,
  type SubscriptionWeight,
} from "./subscription-weight.ts";

/**
 * The maximum time for refilling a window that lost a row, in milliseconds: the feed waits for it.
 */
const REFILL_MS = 1_000;

const HINT = "See docs/sync.md for the messages of a live socket.";
const OwnSchema = v.looseObject({ type: v.picklist(["subscribe", "unsubscribe", "ping", "push"]) });

/** A message that is answered by its id. */
const NamedSchema = v.looseObject({ id: UnsubscribeSchema.entries.id });

type RefusalText = Omit<LiveError, "type" | "id" | "retry_after_secs">;

/** The dependencies of live queries. */
export interface LiveQueriesOptions extends Omit<LoaderOptions, "onFailure" | "trees"> {
  readonly model: () => DataModel;
  readonly onError: (error: unknown) => void;
}

/** The connections of version 2, and their subscriptions. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions;
  readonly #loader: Loader;
  readonly #trees: IncludeTrees;
  readonly #connections = new Map<Subscriber, LiveConnection>();
  /** Null if the server has no functions. */
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

  /** Allows clients to subscribe to functions from now on. */
  serveFunctions(
    calls: LiveFunctionCalls,
    platform: Pick<Platform, "monotonic" | "after" | "uuid">,
  ): void {
    const { queue, registry, onError } = this.#options;
    this.#functions = new LiveFunctions({
      calls,
      queue,
      platform,
      nextNumber: () => registry.nextNumber(),
      onRefused: (connection, one, error) => this.#end(connection, one, error),
      onError,
    });
  }

  /** Allows clients to push over their sockets. */
  servePushes(pushes: SocketPushes): void {
    this.#pushes = pushes;
  }

  /** Whether the client may push over this connection, which must be a socket. */
  takesPushes({ transport }: Subscriber): boolean {
    return this.#pushes !== null && transport === "websocket";
  }

  /**
   * Called for each change that is delivered. The next `runFunctions` runs the functions that it
   * affects.
   */
  onChange(record: ChangeRecord): void {
    this.#functions?.onChange(record);
  }

  /** Reruns the functions that have read data outside of the log that has changed. */
  invalidate(entity: string, id: string): void {
    this.#functions?.onChange({ entity, before: null, after: { id } });
    this.#functions?.flush();
  }

  /** Runs the functions that were affected by changes. */
  runFunctions(): void {
    this.#functions?.flush();
  }

  /** Runs all functions, because their code may have changed. */
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

  /**
   * Handles a message of a client.
   *
   * @returns whether it was a message about subscriptions
   */
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
    if (message.type === "push") return this.#push(connection, message, text.length);
    if (text.length > MAX_SUBSCRIBE_BYTES)
      connection.refuse(idOf(message), {
        code: "PAYLOAD_TOO_LARGE",
        message: `The message has more than ${MAX_SUBSCRIBE_BYTES} characters.`,
        hint: "Omit known to receive all rows.",
      });
    else if (message.type === "ping")
      connection.send({ type: "pong", seq: this.#options.queue.position });
    else this.#request(connection, message);
    return true;
  }

  /** @returns whether the connection accepts pushes */
  #push(connection: LiveConnection, message: object, length: number): boolean {
    const { subscriber } = connection;
    const pushes = this.#pushes;
    if (pushes === null || !this.takesPushes(subscriber)) return false;
    const named = v.safeParse(NamedSchema, message);
    if (!named.success) {
      // The client could not tell which push an answer is for, and would send it again.
      connection.refuse(0, { code: "INVALID_DATA", ...malformedId(named.issues[0]) });
      return true;
    }
    const received = { id: named.output.id, message, length };
    const mayStay = (): Promise<boolean> => this.#options.mayStay(subscriber);
    void pushes.take(subscriber, received, mayStay);
    return true;
  }

  /** Sends the reason for a rejected message. */
  refuse(subscriber: Subscriber, refusal: MessageRefusal): void {
    this.#connections.get(subscriber)?.refuse(0, refusal);
  }

  /** Reads the rows that are missing in windows after a batch, and the related rows of new ones. */
  async refill(batch: CommitBatch): Promise<void> {
    for (const subscription of [...batch.lacking()])
      await this.#orBeginAgain(subscription, batch, (reader) =>
        this.#refillWindow(subscription, reader),
      );
    for (const root of [...batch.trees()])
      await this.#orBeginAgain(root, batch, (reader) => this.#trees.settle(root, batch, reader));
  }

  /**
   * Applies a part of the effects of a batch to a subscription that has members. If that fails, the
   * subscription is read again.
   */
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

  async #refillWindow(subscription: Subscription, reader: Reader): Promise<void> {
    const { delivery, now } = this.#options;
    const { query, window } = subscription;
    const truth = subscription.truthAt(now());
    window?.refill(
      await delivery.reader.with(reader).select({
        entity: query.entity,
        condition: (later) => rewind(truth, later),
        order: query.order,
        limit: window.limit + 1,
      }),
    );
    if (window !== null) checkOrder(window);
  }

  /** Reads the subscription again for all its members. */
  reload({ root: subscription }: Subscription): void {
    const joiners = this.#joinersOf(subscription);
    for (const { members, loads } of subscription.parts) {
      members.clear();
      // Rows that are being read may not contain the change that could not be applied.
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
      const weight = { characters: keptCharacters(request), searches: 0 };
      this.#checkRoom(connection, request.id);
      checkWeight(connection.weight, weight);
      if ("function" in request) {
        if (this.#functions === null)
          throw new PylonError("FUNCTIONS_NOT_AVAILABLE", "This server has no functions.");
        this.#functions.subscribe(connection, request, weight.characters);
      } else this.#subscribe(connection, request, weight);
    } catch (error) {
      this.#refuse(connection, request.id, error);
    }
  }

  /** @throws PylonError if the connection can't have another subscription, or not with this id */
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

  #subscribe(
    connection: LiveConnection,
    request: Subscribe,
    { characters }: Pick<SubscriptionWeight, "characters">,
  ): void {
    const { id, known } = request;
    const query = parseQuery(request, this.#options.model(), connection.subscriber.caller);
    const weight = { characters, searches: searchesIn(query) };
    checkWeight(connection.weight, weight);
    const subscription = this.#options.registry.acquire(query, connection.subscriber.caller);
    connection.add(id, subscription);
    connection.weigh(id, weight);
    connection.send({ type: "joined", id, ...joinedOf(subscription) });
    this.#loader.join(subscription, { connection, known });
  }

  #part(connection: LiveConnection, one: Subscribed): void {
    if (one instanceof LiveFunction) this.#functions?.unsubscribe(connection, one);
    if (!(one instanceof Subscription)) return;
    for (const { members } of one.parts) members.delete(connection.subscriber);
    this.#options.registry.release(one);
  }

  #fail(subscription: Subscription, joiners: readonly Joiner[], error: unknown): void {
    for (const { connection } of joiners) this.#end(connection, subscription, error);
  }

  /** Sends the reason for the end of a subscription, for all ids that refer to it. */
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

/** Whether the rows could not be read in time, or because of other reads: a retry may succeed. */
function isTransient(error: unknown): boolean {
  return error instanceof PylonError && ["QUERY_TIMEOUT", "OVERLOADED"].includes(error.code);
}

/** The numbers of a subscription and of its included related rows. */
function joinedOf({ number, branches }: Subscription): Joined {
  if (branches.length === 0) return { sub: number };
  const include = branches.map(({ query, subscription }) => [query.name, joinedOf(subscription)]);
  return { sub: number, include: Object.fromEntries(include) };
}

/** Validates a message by the schema of its type, so that an error names the invalid field. */
function parseRequest(message: object): v.SafeParseResult<typeof LiveRequestSchema> {
  if ("type" in message && message.type === "unsubscribe")
    return v.safeParse(UnsubscribeSchema, message);
  return "function" in message
    ? v.safeParse(SubscribeFunctionSchema, message)
    : v.safeParse(SubscribeSchema, message);
}

/** The client's id in a message; 0 if it has none. */
function idOf(message: object): number {
  const id = "id" in message ? message.id : undefined;
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : 0;
}

function shownOf({ code, message, hint, field }: PylonError | QueryError): RefusalText {
  return { code, message, hint, field };
}

/** The time after which the client should retry. */
function pauseOf(error: PylonError | QueryError): { readonly retry_after_secs?: number } {
  const seconds = error instanceof PylonError ? error.extra?.["retry_after_secs"] : undefined;
  return typeof seconds === "number" ? { retry_after_secs: seconds } : {};
}

function malformedId(issue: v.BaseIssue<unknown>): Omit<RefusalText, "code"> {
  return { message: `The push is not valid: ${reasonOf(issue)}.`, field: "id", hint: HINT };
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
