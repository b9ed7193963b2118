import { connectShard, type ConnectShardOptions, type ShardClient } from "@pylonsync/sync/shards";
import { useCallback, useEffect, useRef, useState } from "react";

/** Options of `useShard`: those of `connectShard`. */
export type UseShardOptions = ConnectShardOptions;

/** A shard as a component sees it. */
export interface ShardState<TSnapshot, TInput> {
  /** The newest view; null before the first. */
  readonly snapshot: TSnapshot | null;
  readonly tick: number;
  /** The number of the newest input that `snapshot` has in it; null before the first. */
  readonly ack: number | null;
  readonly connected: boolean;
  /** What went wrong last; null again once connected. */
  readonly error: Error | null;
  /** Sends an input. @returns its number; 0 before there is a connection to send it on */
  readonly send: (input: TInput) => number;
  /** Leaves the shard until the component is mounted again. */
  readonly close: () => void;
}

interface Seen<TSnapshot> {
  readonly snapshot: TSnapshot | null;
  readonly tick: number;
  readonly ack: number | null;
  readonly connected: boolean;
  readonly error: Error | null;
}

/**
 * Connects to a shard while the component is mounted.
 *
 * @example
 * function Arena({ userId, token }: { userId: string; token: string }) {
 *   const { snapshot, send } = useShard<{ x: number }, { dx: number }>("arena", {
 *     subscriberId: userId,
 *     token,
 *     baseUrl: getBaseUrl(),
 *   });
 *   return <button onClick={() => send({ dx: 1 })}>{snapshot?.x ?? "..."}</button>;
 * }
 */
export function useShard<TSnapshot = unknown, TInput = unknown>(
  shardId: string,
  options: UseShardOptions,
): ShardState<TSnapshot, TInput> {
  const [seen, setSeen] = useState<Seen<TSnapshot>>({
    snapshot: null,
    tick: 0,
    ack: null,
    connected: false,
    error: null,
  });
  const client = useRef<ShardClient<TSnapshot, TInput> | null>(null);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { token, subscriberId, baseUrl, wsUrl, wsPort } = options;
  useEffect(() => {
    const update = (change: Partial<Seen<TSnapshot>>): void =>
      setSeen((before) => ({ ...before, ...change }));
    const current = connectShard<TSnapshot, TInput>(shardId, {
      ...latest.current,
      token,
      subscriberId,
      baseUrl,
      wsUrl,
      wsPort,
    });
    client.current = current;
    update({ snapshot: null, tick: 0, ack: null, error: null });
    current.onSnapshot((snapshot, tick, ack) => update({ snapshot, tick, ack }));
    current.onOpen(() => update({ connected: true, error: null }));
    current.onClose(() => update({ connected: false }));
    current.onError((error) => update({ error }));
    return () => {
      client.current = null;
      current.close();
    };
  }, [shardId, token, subscriberId, baseUrl, wsUrl, wsPort]);
  const send = useCallback((input: TInput) => client.current?.send(input) ?? 0, []);
  const close = useCallback(() => client.current?.close(), []);
  return { ...seen, send, close };
}
