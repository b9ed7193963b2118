import * as v from "valibot";

/**
 * The subprotocol of a shard's socket with deltas, acks and rejections. Without it the server uses
 * the older format: a full view in each frame, and no responses to inputs.
 */
export const SHARD_PROTOCOL = "pylon.shards.v2";

/** Whether a `Sec-WebSocket-Protocol` header offers deltas, acks and rejections. */
export function offersShardProtocol(header: string | null): boolean {
  return (header ?? "").split(",").some((entry) => entry.trim() === SHARD_PROTOCOL);
}

const JOIN_PREFIX = "join.";

/** Returns the subprotocol with a join token, which replaces `bearer.` and a session token. */
export function joinProtocol(token: string): string {
  return `${JOIN_PREFIX}${token}`;
}

/** Returns the join token in a `Sec-WebSocket-Protocol` header, with the entry to echo. */
export function parseJoinProtocol(
  header: string | null,
): { readonly token: string; readonly protocol: string } | null {
  const entries = (header ?? "").split(",").map((entry) => entry.trim());
  const protocol = entries.find((entry) => entry.startsWith(JOIN_PREFIX));
  return protocol === undefined ? null : { token: protocol.slice(JOIN_PREFIX.length), protocol };
}

/** The role of a client in a shard. A spectator only watches. */
export type ShardRole = "player" | "spectator";

/** The maximum view rate that a client may request: the maximum tick rate of a shard. */
export const MAX_VIEW_RATE = 60;

/**
 * The difference between two JSON values. `[value]` replaces the whole value. Otherwise `s` has the
 * changes by key, `r` the removed keys, and `n` the new length of an array, if it changed.
 */
export type ShardDelta =
  | readonly [unknown]
  | {
      readonly s?: Readonly<Record<string, ShardDelta>>;
      readonly r?: readonly string[];
      readonly n?: number;
    };

/**
 * Applies a delta to the value from which it was computed. Unchanged parts stay the same objects.
 *
 * @throws TypeError for a delta of a different value
 */
export function applyShardDelta(value: unknown, delta: ShardDelta): unknown {
  if (isWhole(delta)) return delta[0];
  if (Array.isArray(value)) return applyToArray(value, delta);
  if (typeof value !== "object" || value === null) throw new TypeError("Not a delta of this view.");
  const entries = new Map<string, unknown>(Object.entries(value));
  for (const key of delta.r ?? []) entries.delete(key);
  for (const [key, change] of Object.entries(delta.s ?? {}))
    entries.set(key, applyShardDelta(entries.get(key), change));
  // Makes own keys of all, `__proto__` too.
  return Object.fromEntries(entries);
}

function isWhole(delta: ShardDelta): delta is readonly [unknown] {
  return Array.isArray(delta);
}

function applyToArray(
  value: readonly unknown[],
  { s = {}, n = value.length }: Exclude<ShardDelta, readonly [unknown]>,
): unknown[] {
  const items = value.slice(0, n);
  for (const [index, change] of Object.entries(s)) {
    const at = Number(index);
    if (!(at >= 0 && at < n)) throw new TypeError("Not a delta of this view.");
    items[at] = applyShardDelta(items[at], change);
  }
  if (items.length !== n) throw new TypeError("Not a delta of this view.");
  return items;
}

const TickSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const AckSchema = v.optional(TickSchema);

/** A full view: the first frame, and any frame without a base for a delta. */
export const ShardSnapshotSchema = v.object({
  tick: TickSchema,
  /** The last `client_seq` of this connection that the view includes. */
  ack: AckSchema,
  snapshot: v.unknown(),
});
/** The changes since the frame of the tick `base`. */
export const ShardChangeSchema = v.object({
  tick: TickSchema,
  ack: AckSchema,
  base: TickSchema,
  delta: v.custom<ShardDelta>((input) => typeof input === "object" && input !== null),
});
/** The view did not change, but inputs were applied. */
export const ShardAckSchema = v.object({ tick: TickSchema, ack: TickSchema });
/** A rejected input. */
export const ShardRefusalSchema = v.object({
  /** The input's `client_seq`; null if it had none. */
  refused: v.nullable(v.number()),
  code: v.string(),
  message: v.string(),
});
/** For clients with a join token: a personal token for reconnecting. */
export const ShardReconnectSchema = v.object({ reconnect: v.string() });
/** A text message of the server to a shard client that requested SHARD_PROTOCOL. */
export const ShardFrameSchema = v.union([
  ShardChangeSchema,
  ShardSnapshotSchema,
  ShardAckSchema,
  ShardRefusalSchema,
  ShardReconnectSchema,
]);
/** See ShardFrameSchema. */
export type ShardFrame = v.InferOutput<typeof ShardFrameSchema>;

/** A message of a client to a shard, as text or as UTF-8 bytes. */
export interface ShardInputMessage {
  readonly input: unknown;
  readonly client_seq: number | null;
  /** The tick that the client displayed when the input was made, with its fraction. */
  readonly seen: number | undefined;
}

/**
 * Parses a message of a client, without a schema, because there are many per step.
 *
 * @param message the parsed JSON
 * @returns null for an invalid message
 */
export function readShardInput(message: unknown): ShardInputMessage | null {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return null;
  const {
    input = null,
    client_seq,
    seen,
  }: Partial<Record<keyof ShardInputMessage, unknown>> = message;
  if (client_seq !== undefined && !isTick(client_seq)) return null;
  if (seen !== undefined && !isMoment(seen)) return null;
  return { input, client_seq: client_seq ?? null, seen };
}

function isTick(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isMoment(value: unknown): value is number {
  return Number.isFinite(value) && Number(value) >= 0;
}

/** Returns the tick and the view of a binary frame in the older format. */
export function parseShardBytes(bytes: ArrayBuffer): { tick: number; snapshot: unknown } {
  const tick = Number(new DataView(bytes).getBigUint64(0));
  return { tick, snapshot: JSON.parse(new TextDecoder().decode(bytes.slice(8))) };
}
