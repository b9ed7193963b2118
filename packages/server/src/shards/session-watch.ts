import type { Identity } from "../identity/identity.ts";
import type { Shards } from "./shards.ts";

/** Tells of sessions that stand for nobody or somebody else from now on. */
interface Sessions {
  /** @returns an unsubscribe function */
  onEnd(listener: (sessionId: string) => void): () => void;
  /** @returns an unsubscribe function */
  onChange(listener: (sessionId: string) => void): () => void;
  /** @returns an unsubscribe function */
  onUserChange(listener: (userId: string) => void): () => void;
}

/** Tells of API keys that open nothing from now on. */
interface ApiKeys {
  /** @returns an unsubscribe function */
  onEnd(listener: (keyId: string) => void): () => void;
}

/**
 * Ends the connections to shards of sessions and API keys that end or change: a player who comes
 * back is asked again who it is. Sessions that expire are looked for by the shards themselves.
 *
 * @returns an unsubscribe function
 */
export function watchShardSessions(
  shards: Pick<Shards, "dismiss">,
  sessions: Sessions,
  apiKeys: ApiKeys,
): () => void {
  const isOf =
    (sessionId: string) =>
    (identity: Identity): boolean =>
      identity.sessionId === sessionId;
  const stops = [
    sessions.onEnd((sessionId) => shards.dismiss(isOf(sessionId), "revoked")),
    sessions.onChange((sessionId) => shards.dismiss(isOf(sessionId), "changed")),
    sessions.onUserChange((userId) =>
      shards.dismiss(({ caller }) => caller.userId === userId, "changed"),
    ),
    apiKeys.onEnd((keyId) => shards.dismiss(({ caller }) => caller.apiKeyId === keyId, "revoked")),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
