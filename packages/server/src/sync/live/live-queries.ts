import {
  type LiveRequestSchema,
  MAX_SUBSCRIBE_BYTES,
  MAX_SUBSCRIPTIONS,
  PylonError,
  SubscribeFunctionSchema,
  SubscribeSchema,
  UnsubscribeSchema,
  type Subscribe,
} from "@pylonsync/protocol";
import { bind, QueryError } from "@pylonsync/query";
import * as v from "valibot";
import type { Subscriber } from "../../connections/subscriber.ts";
import { rewind } from "../../policy/rewind.ts";
import { parseJson } from "../../request/body.ts";
import type { CommitBatch } from "../commit-batch.ts";
import { PositionPassed } from "../position-reader.ts";
import type { Subscription } from "../subscriptions/subscription.ts";
import { LiveConnection } from "./live-connection.ts";
import { Loader, type Joiner, type LoaderOptions } from "./loader.ts";
import { parseQuery } from "./parse-query.ts";

/** How long a window that lost a row may be read, in milliseconds: the feed waits for it. */
const REFILL_MS = 1_000;

/** What live queries are loaded with. */
export interface LiveQueriesOptions extends Omit<LoaderOptions, "onFailure"> {
  readonly onError: (error: unknown) => void;
}

/** The connections of version 2: what they ask for, and the subscriptions that they are in. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions;
  readonly #loader: Loader;
  readonly #connections = new Map<Subscriber, LiveConnection>();

  constructor(options: LiveQueriesOptions) {
    this.#options = options;
    this.#loader = new Loader({
      ...options,
      onFailure: (subscription, joiners, error) => this.#fail(subscription, joiners, error),
    });
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
      if ("function" in request || request.include !== undefined)
        throw new PylonError("INVALID_QUERY", "This server subscribes to rows of entities alone.", {
          hint: "Subscribe to related rows by a query of their own, and call functions over HTTP.",
        });
      this.#subscribe(connection, request);
    } catch (error) {
      this.#refuse(connection, request.id, error);
    }
  }

  #subscribe(connection: LiveConnection, request: Subscribe): void {
    const { id, known } = request;
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
    const query = parseQuery(request, this.#options.model());
    const subscription = this.#options.registry.acquire(query, connection.subscriber.caller);
    connection.add(id, subscription);
    connection.send({ type: "joined", id, sub: subscription.number });
    this.#loader.join(subscription, { connection, known });
  }

  #part(connection: LiveConnection, subscription: Subscription): void {
    subscription.members.delete(connection.subscriber);
    this.#options.registry.release(subscription);
  }

  #fail(subscription: Subscription, joiners: readonly Joiner[], error: unknown): void {
    for (const { connection } of joiners)
      for (const id of connection.idsOf(subscription)) {
        connection.delete(id);
        this.#refuse(connection, id, error);
        this.#part(connection, subscription);
      }
  }

  #refuse(connection: LiveConnection, id: number, error: unknown): void {
    if (error instanceof PylonError || error instanceof QueryError) {
      connection.refuse(id, error);
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
