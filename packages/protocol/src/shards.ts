import * as v from "valibot";

/**
 * The subprotocol of a shard's socket that carries deltas, acks and refusals. Without it a client
 * gets what older ones understand: a whole view in each frame, and no answer to inputs.
 */
export const SHARD_PROTOCOL = "pylon.shards.v2";

/** Whether a `Sec-WebSocket-Protocol` header asks for deltas, acks and refusals. */
export function offersShardProtocol(header: string | null): boolean {
  return (header ?? "").split(",").some((entry) => entry.trim() === SHARD_PROTOCOL);
}

/**
 * What changed in a JSON value. `[value]` stands for the whole value. Otherwise `s` has the changes
 * by key, `r` the keys that are gone, and `n` the length of an array, where that is another.
 */
export type ShardDelta =
  | readonly [unknown]
  | {
      readonly s?: Readonly<Record<string, ShardDelta>>;
      readonly r?: readonly string[];
      readonly n?: number;
    };

/**
 * What changed, applied to the value that it was computed from. Parts that did not change stay the
 * same objects.
 *
 * @throws TypeError for a delta of another value
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

/** A whole view: the first frame, and whenever a delta has no base. */
export const ShardSnapshotSchema = v.object({
  tick: TickSchema,
  /** The newest `client_seq` of this connection that the view has in it. */
  ack: AckSchema,
  snapshot: v.unknown(),
});
/** What changed since the frame of the tick `base`. */
export const ShardChangeSchema = v.object({
  tick: TickSchema,
  ack: AckSchema,
  base: TickSchema,
  delta: v.custom<ShardDelta>((input) => typeof input === "object" && input !== null),
});
/** Nothing to see changed, and inputs were applied. */
export const ShardAckSchema = v.object({ tick: TickSchema, ack: TickSchema });
/** An input that was not taken. */
export const ShardRefusalSchema = v.object({
  /** The input's `client_seq`; null where it had none. */
  refused: v.nullable(v.number()),
  code: v.string(),
  message: v.string(),
});
/** What a server sends to a shard's client that asked for SHARD_PROTOCOL, as text. */
export const ShardFrameSchema = v.union([
  ShardChangeSchema,
  ShardSnapshotSchema,
  ShardAckSchema,
  ShardRefusalSchema,
]);
/** See ShardFrameSchema. */
export type ShardFrame = v.InferOutput<typeof ShardFrameSchema>;

/** What a client sends to a shard, as text or as UTF-8 bytes. */
export const ShardInputSchema = v.object({
  input: v.optional(v.unknown(), null),
  client_seq: v.optional(TickSchema),
});

/** The tick and the view of a binary frame, as older clients get it. */
export function parseShardBytes(bytes: ArrayBuffer): { tick: number; snapshot: unknown } {
  const tick = Number(new DataView(bytes).getBigUint64(0));
  return { tick, snapshot: JSON.parse(new TextDecoder().decode(bytes.slice(8))) };
}
