import * as v from "valibot";
import {
  MAX_GRAPH_ROWS,
  MAX_INCLUDE_DEPTH,
  MAX_LIVE_REQUEST_MESSAGES,
  MAX_PAGE_SIZE,
} from "./limits.ts";
import { recordOf } from "./record.ts";

const IdSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const SeqSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const AnyObjectSchema = recordOf((_value): _value is unknown => true);
const AnyArgsSchema = v.optional(AnyObjectSchema);

/** The related rows that a client holds, by relation, as in `joined`. */
export interface KnownRelated {
  readonly ids: readonly string[];
  readonly include?: Record<string, KnownRelated> | undefined;
}

const RelatedIdsSchema = v.pipe(v.array(v.string()), v.maxLength(MAX_GRAPH_ROWS));
/** Rows that join others with their parents are a level of their own. */
const MAX_RELATED_DEPTH = 2 * MAX_INCLUDE_DEPTH;

function isKnownRelated(value: unknown, depth: number): value is KnownRelated {
  if (depth > MAX_RELATED_DEPTH || !v.is(AnyObjectSchema, value)) return false;
  const { ids, include } = value;
  return (
    v.is(RelatedIdsSchema, ids) &&
    (include === undefined || v.is(knownRelatedOf(depth + 1), include))
  );
}

function knownRelatedOf(depth: number) {
  return recordOf((value): value is KnownRelated => isKnownRelated(value, depth));
}

/**
 * What the client has of a subscription from before, so that it is sent only what changed since.
 * `ids` are the rows that it holds; they are asked for where the query has a `limit` or an
 * `include`, and of related rows those that are to be continued.
 */
export const KnownSchema = v.object({
  seq: SeqSchema,
  epoch: v.string(),
  ids: v.optional(v.pipe(v.array(v.string()), v.maxLength(MAX_PAGE_SIZE))),
  include: v.optional(knownRelatedOf(1)),
});
/** The cursor of a subscription, after validation. */
export type Known = v.InferOutput<typeof KnownSchema>;

/** The related rows that a query includes, by relation. */
export interface IncludeQuery {
  readonly where?: Record<string, unknown> | undefined;
  readonly order?: unknown;
  /** The maximum number of rows per parent. */
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
 * Subscribes to the rows of a query and to their changes. `id` is the client's id for it on this
 * connection. `where` and `order` are those of a filter; with `limit` the subscription contains the
 * first rows in the order, which the server maintains as rows are added and removed.
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
 * Subscribes to the result of a query function, and to each later result that differs. The function
 * runs again when a commit may change something that it has read.
 */
export const SubscribeFunctionSchema = v.object({
  type: v.literal("subscribe"),
  id: IdSchema,
  function: v.string(),
  args: AnyArgsSchema,
});
/** See `SubscribeFunctionSchema`. */
export type SubscribeFunction = v.InferOutput<typeof SubscribeFunctionSchema>;

/** Ends a subscription. Messages in flight may still arrive. */
export const UnsubscribeSchema = v.object({ type: v.literal("unsubscribe"), id: IdSchema });
/** See `UnsubscribeSchema`. */
export type Unsubscribe = v.InferOutput<typeof UnsubscribeSchema>;

/** A request of a client of version 2; presence, topics and pings are as in version 1. */
export const LiveRequestSchema = v.union([
  SubscribeFunctionSchema,
  SubscribeSchema,
  UnsubscribeSchema,
]);
/** See `LiveRequestSchema`. */
export type LiveRequest = v.InferOutput<typeof LiveRequestSchema>;

const MessagesSchema = v.pipe(v.array(AnyObjectSchema), v.maxLength(MAX_LIVE_REQUEST_MESSAGES));

/** Opens a connection of version 2 without a socket: `POST /api/live`. */
export const LiveOpenSchema = v.object({
  /**
   * How the server sends messages: as an event stream in the response, or in responses to polls.
   */
  transport: v.picklist(["sse", "poll"]),
  /** The initial messages. */
  messages: v.optional(MessagesSchema),
});

/** The client's messages on such a connection: `POST /api/live/<id>`. */
export const LiveSendSchema = v.object({
  messages: MessagesSchema,
  /** For polls: delays the response until there are messages. */
  wait: v.optional(v.boolean()),
});
