import * as v from "valibot";
import type { Row } from "./change.ts";
import { MAX_INCLUDE_DEPTH, MAX_PAGE_SIZE } from "./limits.ts";
import { recordOf } from "./record.ts";

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

const IdSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const SeqSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const AnyObjectSchema = recordOf((_value): _value is unknown => true);
const AnyArgsSchema = v.optional(AnyObjectSchema);
const RowSchema = v.custom<Row>(
  (input) =>
    typeof input === "object" && input !== null && "id" in input && typeof input.id === "string",
);

/**
 * What the client has of a subscription from before, so that it is sent only what changed since.
 * `ids` are the rows that it holds; they are asked for where the query has a `limit`.
 */
export const KnownSchema = v.object({
  seq: SeqSchema,
  epoch: v.string(),
  ids: v.optional(v.pipe(v.array(v.string()), v.maxLength(MAX_PAGE_SIZE))),
});
/** A cursor of a subscription, as it was checked. */
export type Known = v.InferOutput<typeof KnownSchema>;

/** The related rows that a query includes, by the name of the relation. */
export interface IncludeQuery {
  readonly where?: Record<string, unknown> | undefined;
  readonly order?: unknown;
  /** Most rows for each parent. */
  readonly limit?: number | undefined;
  readonly include?: Record<string, IncludeQuery> | undefined;
}

const LimitSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(MAX_PAGE_SIZE));

function isInclude(value: unknown, depth: number): value is IncludeQuery {
  if (depth > MAX_INCLUDE_DEPTH || !v.is(AnyObjectSchema, value)) return false;
  const { where, limit, include } = value;
  return (
    v.is(v.optional(AnyObjectSchema), where) &&
    v.is(v.optional(LimitSchema), limit) &&
    (include === undefined || v.is(includesOf(depth + 1), include))
  );
}

function includesOf(depth: number) {
  return recordOf((value): value is IncludeQuery => isInclude(value, depth));
}

/**
 * Asks for the rows of a query, and for every change of them from then on. `id` is the client's
 * name for it on this connection. `where` and `order` are those of a filter; `limit` rows are the
 * first ones in the order, which the server keeps up to date as rows come and go.
 */
export const SubscribeSchema = v.object({
  type: v.literal("subscribe"),
  id: IdSchema,
  entity: v.string(),
  where: AnyArgsSchema,
  order: v.optional(v.unknown()),
  limit: v.optional(LimitSchema),
  include: v.optional(includesOf(1)),
  known: v.optional(KnownSchema),
});
/** See `SubscribeSchema`. */
export type Subscribe = v.InferOutput<typeof SubscribeSchema>;

/**
 * Asks for the result of a query function, and for each later one that differs. It runs again when
 * a commit can change something that it read.
 */
export const SubscribeFunctionSchema = v.object({
  type: v.literal("subscribe"),
  id: IdSchema,
  function: v.string(),
  args: AnyArgsSchema,
});
/** See `SubscribeFunctionSchema`. */
export type SubscribeFunction = v.InferOutput<typeof SubscribeFunctionSchema>;

/** Ends a subscription. What was on its way may still arrive. */
export const UnsubscribeSchema = v.object({ type: v.literal("unsubscribe"), id: IdSchema });
/** See `UnsubscribeSchema`. */
export type Unsubscribe = v.InferOutput<typeof UnsubscribeSchema>;

/** What a client of version 2 asks; presence, topics and pings are as in version 1. */
export const LiveRequestSchema = v.union([
  SubscribeFunctionSchema,
  SubscribeSchema,
  UnsubscribeSchema,
]);
/** See `LiveRequestSchema`. */
export type LiveRequest = v.InferOutput<typeof LiveRequestSchema>;

/** The numbers of a subscription and of what it includes, by relation. */
export interface Joined {
  readonly sub: number;
  readonly include?: Record<string, Joined> | undefined;
}

function isJoined(value: unknown): value is Joined {
  if (!v.is(AnyObjectSchema, value)) return false;
  const { sub, include } = value;
  return v.is(IdSchema, sub) && (include === undefined || v.is(recordOf(isJoined), include));
}

/**
 * The first answer to a `subscribe`: the number by which the server names the subscription from
 * then on. Equal queries of readers with equal rights have one number, so that what is said of it
 * is encoded once for all of them. Of a live function it may come again, with another number: once
 * the function looks at who calls, its callers are told apart.
 */
export const JoinedSchema = v.object({
  type: v.literal("joined"),
  id: IdSchema,
  sub: IdSchema,
  include: v.optional(recordOf(isJoined)),
});
/** See `JoinedSchema`. */
export type JoinedMessage = v.InferOutput<typeof JoinedSchema>;

/**
 * A page of a subscription's rows, in no order. The pages up to `ready` belong together: with
 * `reset` in the first one they are all rows that there are; else the client keeps what it has but
 * for `gone`. A later `reset` begins again: what came before it does not count. `keep` are ids of
 * rows that the client knows already, unchanged.
 */
export const RowsSchema = v.object({
  type: v.literal("rows"),
  sub: IdSchema,
  reset: v.optional(v.literal(true)),
  rows: v.optional(v.array(RowSchema)),
  keep: v.optional(v.array(v.string())),
  gone: v.optional(v.array(v.string())),
});
/** See `RowsSchema`. */
export type RowsMessage = v.InferOutput<typeof RowsSchema>;

/** The subscription is complete as of `seq`, with all it includes; commits follow from there. */
export const ReadySchema = v.object({
  type: v.literal("ready"),
  sub: IdSchema,
  seq: SeqSchema,
  epoch: v.string(),
});
/** See `ReadySchema`. */
export type ReadyMessage = v.InferOutput<typeof ReadySchema>;

/**
 * What changes in one subscription: `rows` come whole, of `patches` only the fields that changed
 * (and the id), `gone` are no longer in it.
 */
export const SubscriptionChangeSchema = v.object({
  sub: IdSchema,
  rows: v.optional(v.array(RowSchema)),
  patches: v.optional(v.array(RowSchema)),
  gone: v.optional(v.array(v.string())),
});
/** See `SubscriptionChangeSchema`. */
export type SubscriptionChange = v.InferOutput<typeof SubscriptionChangeSchema>;

/**
 * All that committed transactions change for this connection, in one message, so that rows of one
 * transaction become visible together. Every ready subscription is then complete as of `seq`.
 */
export const CommitSchema = v.object({
  type: v.literal("commit"),
  seq: SeqSchema,
  changes: v.array(SubscriptionChangeSchema),
});
/** See `CommitSchema`. */
export type CommitMessage = v.InferOutput<typeof CommitSchema>;

/** The result of a live function, as of `seq`. */
export const ResultSchema = v.object({
  type: v.literal("result"),
  sub: IdSchema,
  seq: SeqSchema,
  value: v.unknown(),
});
/** See `ResultSchema`. */
export type ResultMessage = v.InferOutput<typeof ResultSchema>;

/**
 * A run of a live function failed. The subscription goes on: what the client shows is out of date
 * until the next `result`, which comes when something that the function had read changes.
 */
export const FailedSchema = v.object({
  type: v.literal("failed"),
  sub: IdSchema,
  seq: SeqSchema,
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
  field: v.optional(v.string()),
});
/** See `FailedSchema`. */
export type FailedMessage = v.InferOutput<typeof FailedSchema>;

/**
 * The server reads the subscription again, because what changed can't be told row by row: what the
 * client shows is out of date until `ready`.
 */
export const SubscriptionResyncSchema = v.object({ type: v.literal("resync"), sub: IdSchema });
/** See `SubscriptionResyncSchema`. */
export type SubscriptionResync = v.InferOutput<typeof SubscriptionResyncSchema>;

/** A subscription was refused, or has ended. It is named by the client's id. */
export const LiveErrorSchema = v.object({
  type: v.literal("error"),
  id: IdSchema,
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
  field: v.optional(v.string()),
  /** When to ask again, in seconds, where that is of use. */
  retry_after_secs: v.optional(v.number()),
});
/** See `LiveErrorSchema`. */
export type LiveError = v.InferOutput<typeof LiveErrorSchema>;

/** The answer to a ping: every ready subscription is complete as of `seq`. */
export const LivePongSchema = v.object({ type: v.literal("pong"), seq: SeqSchema });
/** See `LivePongSchema`. */
export type LivePong = v.InferOutput<typeof LivePongSchema>;

/** What a server says of subscriptions. Of rooms and topics it speaks as in version 1. */
export const LiveMessageSchema = v.variant("type", [
  JoinedSchema,
  RowsSchema,
  ReadySchema,
  CommitSchema,
  ResultSchema,
  FailedSchema,
  SubscriptionResyncSchema,
  LiveErrorSchema,
  LivePongSchema,
]);
/** See `LiveMessageSchema`. */
export type LiveMessage = v.InferOutput<typeof LiveMessageSchema>;
