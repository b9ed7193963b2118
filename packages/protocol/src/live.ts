import { isRow } from "./change.ts";
import { isErrorContent } from "./errors.ts";
import {
  anyOf,
  arrayOf,
  isCount,
  isNumber,
  isString,
  isUnknown,
  mapOf,
  objectOf,
  oneOf,
  type Guard,
  type Guarded,
} from "./guard.ts";
import { isPushResponse } from "./push-response.ts";

/**
 * Version 2 of the socket: the client says what it looks at, and hears of nothing else.
 *
 * It is asked for by a subprotocol beside the token's (`pylon.v2, bearer.<token>`). A server that
 * knows it answers with `pylon.v2`; one that does not echoes the token's entry, and the socket is
 * one of version 1.
 */
export const LIVE_PROTOCOL = "pylon.v2";

/** Whether a `Sec-WebSocket-Protocol` header asks for version 2. */
export function offersLiveProtocol(header: string | null): boolean {
  return (header ?? "").split(",").some((entry) => entry.trim() === LIVE_PROTOCOL);
}

/**
 * What the rows are called, in the `include` of a `joined`, that other rows join with their
 * parents: these come under the relation's name, and those under them.
 */
export const JOINED_ROWS = "$rows";

/** The numbers of a subscription and of what it includes, by relation. */
export interface Joined {
  readonly sub: number;
  readonly include?: Record<string, Joined> | undefined;
}

const isJoined: Guard<Joined> = objectOf(
  { sub: isCount },
  { include: mapOf((value): value is Joined => isJoined(value)) },
);

/**
 * The first answer to a `subscribe`: the number by which the server names the subscription from
 * then on. Equal queries of readers with equal rights have one number, so that what is said of it
 * is encoded once for all of them. Of a live function it may come again, with another number: once
 * the function looks at who calls, its callers are told apart.
 */
export const isJoinedMessage = /* @__PURE__ */ objectOf(
  { type: oneOf("joined"), id: isCount, sub: isCount },
  { include: mapOf(isJoined) },
);
/** See isJoinedMessage. */
export type JoinedMessage = Guarded<typeof isJoinedMessage>;

/**
 * A page of a subscription's rows, in no order. The pages up to `ready` belong together: with
 * `reset` in the first one they are all rows that there are; else the client keeps what it has but
 * for `gone`. A later `reset` begins again: what came before it does not count. `keep` are ids of
 * rows that the client knows already, unchanged.
 */
export const isRowsMessage = /* @__PURE__ */ objectOf(
  { type: oneOf("rows"), sub: isCount },
  { reset: oneOf(true), rows: arrayOf(isRow), keep: arrayOf(isString), gone: arrayOf(isString) },
);
/** See isRowsMessage. */
export type RowsMessage = Guarded<typeof isRowsMessage>;

/** The subscription is complete as of `seq`, with all it includes; commits follow from there. */
export const isReadyMessage = /* @__PURE__ */ objectOf({
  type: oneOf("ready"),
  sub: isCount,
  seq: isCount,
  epoch: isString,
});
/** See isReadyMessage. */
export type ReadyMessage = Guarded<typeof isReadyMessage>;

/**
 * What changes in one subscription: `rows` come whole, of `patches` only the fields that changed
 * (and the id), `gone` are no longer in it.
 */
export const isSubscriptionChange = /* @__PURE__ */ objectOf(
  { sub: isCount },
  { rows: arrayOf(isRow), patches: arrayOf(isRow), gone: arrayOf(isString) },
);
/** See isSubscriptionChange. */
export type SubscriptionChange = Guarded<typeof isSubscriptionChange>;

/**
 * All that committed transactions change for this connection, in one message, so that rows of one
 * transaction become visible together. Every ready subscription is then complete as of `seq`.
 */
export const isCommitMessage = /* @__PURE__ */ objectOf({
  type: oneOf("commit"),
  seq: isCount,
  changes: arrayOf(isSubscriptionChange),
});
/** See isCommitMessage. */
export type CommitMessage = Guarded<typeof isCommitMessage>;

/** The result of a live function, as of `seq`. */
export const isResultMessage = /* @__PURE__ */ objectOf({
  type: oneOf("result"),
  sub: isCount,
  seq: isCount,
  value: isUnknown,
});
/** See isResultMessage. */
export type ResultMessage = Guarded<typeof isResultMessage>;

/**
 * A run of a live function failed. The subscription goes on: what the client shows is out of date
 * until the next `result`, which comes when something that the function had read changes.
 */
export const isFailedMessage = /* @__PURE__ */ objectOf(
  { type: oneOf("failed"), sub: isCount, seq: isCount, code: isString, message: isString },
  // `data` is of an error that the function declares. */
  { hint: isString, field: isString, data: isUnknown },
);
/** See isFailedMessage. */
export type FailedMessage = Guarded<typeof isFailedMessage>;

/**
 * The server reads the subscription again, because what changed can't be told row by row: what the
 * client shows is out of date until `ready`.
 */
export const isSubscriptionResync = /* @__PURE__ */ objectOf({
  type: oneOf("resync"),
  sub: isCount,
});
/** See isSubscriptionResync. */
export type SubscriptionResync = Guarded<typeof isSubscriptionResync>;

/** A subscription was refused, or has ended. It is named by the client's id. */
export const isLiveError = /* @__PURE__ */ objectOf(
  { type: oneOf("error"), id: isCount, code: isString, message: isString },
  {
    hint: isString,
    field: isString,
    /** When to ask again, in seconds, where that is of use. */
    retry_after_secs: isNumber,
  },
);
/** See isLiveError. */
export type LiveError = Guarded<typeof isLiveError>;

/**
 * The answer to a `push`, a message with the fields of a PushRequest and an id, which names it here
 * too: what the response of `POST /api/sync/push` would be. `status` and `error` are those of a
 * request that was refused as a whole.
 */
export const isPushedMessage = objectOf(
  { type: oneOf("pushed"), id: isCount },
  { answer: isPushResponse, status: isNumber, error: isErrorContent },
);
/** See isPushedMessage. */
export type PushedMessage = Guarded<typeof isPushedMessage>;

/** The answer to a ping: every ready subscription is complete as of `seq`. */
export const isLivePong = /* @__PURE__ */ objectOf({ type: oneOf("pong"), seq: isCount });
/** See isLivePong. */
export type LivePong = Guarded<typeof isLivePong>;

/**
 * A document has arrived as a whole: all frames that a `crdt-subscribe` with `ready: true` had to
 * be answered with were sent before. The text is not to be shown earlier, because a snapshot alone
 * is an older state of it. The keys are sent in this order.
 */
export interface DocumentReady {
  readonly type: "crdt-ready";
  readonly entity: string;
  readonly rowId: string;
}

/**
 * The first message on an event stream of version 2: by this name `POST /api/live/<id>` says what a
 * socket would.
 */
export const isLiveOpened = /* @__PURE__ */ objectOf({ type: oneOf("connection"), id: isString });
/** See isLiveOpened. */
export type LiveOpened = Guarded<typeof isLiveOpened>;

/** The answer to a poll, and to the opening of a connection of polls, which has an `id`. */
export const isLivePoll = /* @__PURE__ */ objectOf(
  { messages: arrayOf(isUnknown) },
  { id: isString },
);

/** What a server says of subscriptions. Of rooms and topics it speaks as in version 1. */
export const isLiveMessage = /* @__PURE__ */ anyOf(
  isJoinedMessage,
  isRowsMessage,
  isReadyMessage,
  isCommitMessage,
  isResultMessage,
  isFailedMessage,
  isSubscriptionResync,
  isLiveError,
  isLivePong,
  isPushedMessage,
);
/** See isLiveMessage. */
export type LiveMessage = Guarded<typeof isLiveMessage>;
