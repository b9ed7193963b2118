import { connectShard, type ConnectShardOptions, type ShardClient } from "@pylonsync/sync/shards";
import { useCallback, useEffect, useRef, useState } from "react";

/** Options of `useShard`: those of `connectShard`. */
export type UseShardOptions = ConnectShardOptions;

/** The result of `useShard`. */
export interface ShardState<TSnapshot, TInput> {
  /** The newest view; null before the first. */
  readonly snapshot: TSnapshot | null;
  readonly tick: number;
  /** The number of the last input that `snapshot` includes; null before the first. */
  readonly ack: number | null;
  readonly connected: boolean;
  /** The last error; null again once connected. */
  readonly error: Error | null;
  /**
   * Sends an input. `seen`: the tick that was displayed when the input was made.
   *
   * @returns its number; 0 if there is no connection yet
   */
  readonly send: (input: TInput, seen?: number) => number;
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
  const { token, subscriberId, role, viewRate, baseUrl, wsUrl, wsPort } = options;
  useEffect(() => {
    const update = (change: Partial<Seen<TSnapshot>>): void =>
      setSeen((before) => ({ ...before, ...change }));
    const current = connectShard<TSnapshot, TInput>(shardId, latest.current);
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
  }, [shardId, token, subscriberId, role, viewRate, baseUrl, wsUrl, wsPort]);
  const send = useCallback(
    (input: TInput, seen?: number) => client.current?.send(input, seen) ?? 0,
    [],
  );
  const close = useCallback(() => client.current?.close(), []);
  return { ...seen, send, close };
}
