import {
  type LiveRequestSchema,
  MAX_SUBSCRIBE_BYTES,
  MAX_SUBSCRIPTIONS,
  PylonError,
  SubscribeFunctionSchema,
  SubscribeSchema,
  UnsubscribeSchema,
  type LiveError,
  type Subscribe,
} from "@pylonsync/protocol";
import { bind, QueryError } from "@pylonsync/query";
import * as v from "valibot";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { Platform } from "../../platform.ts";
import { rewind } from "../../policy/rewind.ts";
import { parseJson } from "../../request/body.ts";
import type { CommitBatch } from "../commit-batch.ts";
import { PositionPassed } from "../position-reader.ts";
import type { ChangeRecord } from "../../store/store.ts";
import type { LiveFunctionCalls } from "../live-functions/calls.ts";
import { LiveFunction } from "../live-functions/live-function.ts";
import { LiveFunctions } from "../live-functions/live-functions.ts";
import { Subscription } from "../subscriptions/subscription.ts";
import { LiveConnection, type Subscribed } from "./live-connection.ts";
import { Loader, type Joiner, type LoaderOptions } from "./loader.ts";
import { parseQuery } from "./parse-query.ts";

/** How long a window that lost a row may be read, in milliseconds: the feed waits for it. */
const REFILL_MS = 1_000;

type RefusalText = Omit<LiveError, "type" | "id" | "retry_after_secs">;

/** What live queries are loaded with. */
export interface LiveQueriesOptions extends Omit<LoaderOptions, "onFailure"> {
  readonly onError: (error: unknown) => void;
}

/** The connections of version 2: what they ask for, and the subscriptions that they are in. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions;
  readonly #loader: Loader;
  readonly #connections = new Map<Subscriber, LiveConnection>();
  /** Null where there are none to call. */
  #functions: LiveFunctions | null = null;

  constructor(options: LiveQueriesOptions) {
    this.#options = options;
    this.#loader = new Loader({
      ...options,
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

  /** A change is delivered: what it touches is run by the next `runFunctions`. */
  changed(record: ChangeRecord): void {
    this.#functions?.changed(record);
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
    if (connection === undefined || text.length > MAX_SUBSCRIBE_BYTES) return false;
    const message = parsed(text);
    if (!v.is(v.looseObject({ type: v.picklist(["subscribe", "unsubscribe", "ping"]) }), message))
      return false;
    if (message.type === "ping")
      connection.send({ type: "pong", seq: this.#options.line.position });
    else this.#request(connection, message);
    return true;
  }

  /** Reads the rows again that windows lack after a batch. */
  async refill(batch: CommitBatch): Promise<void> {
    const { delivery, store, now } = this.#options;
    for (const subscription of [...batch.lacking()]) {
      const { query, window, members } = subscription;
      if (window === null || members.size === 0) continue;
      const truth = bind(subscription.truth, { now: new Date(now()).toISOString() });
      const limits = { caller: `window ${subscription.number}`, timeoutMs: REFILL_MS };
      try {
        window.refill(
          await delivery.reader.with(store.limitedReader(limits)).select({
            entity: query.entity,
            condition: (later) => rewind(truth, later),
            order: query.order,
            limit: window.limit + 1,
          }),
        );
      } catch (error) {
        batch.drop(subscription);
        if (error instanceof PositionPassed) this.reload(subscription);
        else this.#fail(subscription, this.#joinersOf(subscription), error);
      }
    }
  }

  /** Reads the subscription again for all its members. */
  reload(subscription: Subscription): void {
    const joiners = this.#joinersOf(subscription);
    subscription.members.clear();
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
    const id = "id" in message && typeof message.id === "number" ? message.id : 0;
    if (!result.success) {
      connection.refuse(id, {
        code: "INVALID_QUERY",
        message: `The message is not understood: ${reasonOf(result.issues[0])}.`,
        hint: "See docs/sync.md for the messages of a live socket.",
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
      } else if (request.include === undefined) this.#subscribe(connection, request);
      else
        throw new PylonError("INVALID_QUERY", "A subscription does not include related rows.", {
          field: "include",
          hint: "Subscribe to related rows by a query of their own.",
        });
    } catch (error) {
      this.#refuse(connection, request.id, error);
    }
  }

  /** @throws PylonError when the connection can't have another subscription by this id */
  #checkRoom(connection: LiveConnection, id: number): void {
    if (connection.has(id))
      throw new PylonError("INVALID_QUERY", `The id ${id} names another subscription.`, {
        field: "id",
      });
    if (connection.size >= MAX_SUBSCRIPTIONS)
      throw new PylonError(
        "SUBSCRIPTION_LIMIT_REACHED",
        `A connection has at most ${MAX_SUBSCRIPTIONS} subscriptions.`,
        { hint: "Unsubscribe from what is no longer shown." },
      );
  }

  #subscribe(connection: LiveConnection, request: Subscribe): void {
    const { id, known } = request;
    const query = parseQuery(request, this.#options.model());
    const subscription = this.#options.registry.acquire(query, connection.subscriber.caller);
    connection.add(id, subscription);
    connection.send({ type: "joined", id, sub: subscription.number });
    this.#loader.join(subscription, { connection, known });
  }

  #part(connection: LiveConnection, one: Subscribed): void {
    if (one instanceof LiveFunction) this.#functions?.part(connection, one);
    if (!(one instanceof Subscription)) return;
    one.members.delete(connection.subscriber);
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

/** Checked as what it means to be, so that a refusal names the field at fault. */
function parseRequest(message: object): v.SafeParseResult<typeof LiveRequestSchema> {
  if ("type" in message && message.type === "unsubscribe")
    return v.safeParse(UnsubscribeSchema, message);
  return "function" in message
    ? v.safeParse(SubscribeFunctionSchema, message)
    : v.safeParse(SubscribeSchema, message);
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
    // As in version 1, a message that is not understood is ignored.
    return undefined;
  }
}
