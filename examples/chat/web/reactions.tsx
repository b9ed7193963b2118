import { db } from "@pylonsync/react";
import { EMOJI } from "../emoji.ts";
import type { Message, Reaction } from "../pylon.client.ts";
import { hrefOf } from "./use-route.ts";

export interface ReactionsProps {
  readonly message: Message;
  readonly messageAt: string;
  readonly userId: string;
  readonly reactions: readonly Reaction[];
}

/** The reactions to a message, and a bar to add one or to reply. */
export function Reactions({ message, messageAt, userId, reactions }: ReactionsProps) {
  const { id: messageId, channelId, authorName } = message;
  const toggle = (emoji: string): void => {
    const own = reactions.find((one) => one.emoji === emoji && one.userId === userId);
    if (own === undefined)
      void db.insert("Reaction", { channelId, messageId, messageAt, emoji, userId });
    else void db.delete("Reaction", own.id);
  };
  const counts = Map.groupBy(reactions, ({ emoji }) => emoji);
  return (
    <>
      {counts.size > 0 && (
        <div className="reactions">
          {[...counts].map(([emoji, given]) => (
            <button
              key={emoji}
              aria-pressed={given.some((one) => one.userId === userId)}
              aria-label={`${emoji} ${given.length}`}
              onClick={() => toggle(emoji)}
            >
              {emoji} {given.length}
            </button>
          ))}
        </div>
      )}
      <div className="actions" role="group" aria-label={`On the message of ${authorName}`}>
        {EMOJI.map((emoji) => (
          <button key={emoji} aria-label={`React with ${emoji}`} onClick={() => toggle(emoji)}>
            {emoji}
          </button>
        ))}
        <a href={hrefOf(channelId, messageId)}>Reply</a>
      </div>
    </>
  );
}
