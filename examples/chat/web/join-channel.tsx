import { db } from "@pylonsync/react";
import type { Channel } from "../pylon.client.ts";
import { HOME } from "./use-route.ts";

export interface JoinChannelProps {
  readonly channel: Channel;
  /** Whether the user's memberships are loaded, so that this is known not to be one of them. */
  readonly isKnown: boolean;
}

/** Shown in place of the messages to users who are not members. */
export function JoinChannel({ channel, isKnown }: JoinChannelProps) {
  const join = db.useMutation("joinChannel");
  return (
    <main className="channel notice">
      {isKnown ? (
        <>
          <h2># {channel.name}</h2>
          <p className="muted">Only members read what is written here.</p>
          <button
            className="primary"
            disabled={join.loading}
            onClick={() => void join.mutate({ channelId: channel.id })}
          >
            Join #{channel.name}
          </button>
          {join.error !== null && (
            <p className="error" role="alert">
              {join.error.message}
            </p>
          )}
          <a className="back" href={HOME}>
            All channels
          </a>
        </>
      ) : (
        "Loading…"
      )}
    </main>
  );
}
