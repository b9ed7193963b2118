import type { Identity } from "../identity/identity.ts";
import type { Shards } from "./shards.ts";

/** Reports sessions that were revoked or changed. */
interface Sessions {
  /** @returns an unsubscribe function */
  onEnd(listener: (sessionId: string) => void): () => void;
  /** @returns an unsubscribe function */
  onChange(listener: (sessionId: string) => void): () => void;
  /** @returns an unsubscribe function */
  onUserChange(listener: (userId: string) => void): () => void;
}

/** Reports API keys that were revoked. */
interface ApiKeys {
  /** @returns an unsubscribe function */
  onEnd(listener: (keyId: string) => void): () => void;
}

/**
 * Closes the connections to shards of sessions and API keys that are revoked or changed: a player
 * who reconnects is authenticated again. Expired sessions are detected by the shards themselves.
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
