import { memo } from "react";
import type { Message, Reaction } from "../pylon.client.ts";
import { Avatar } from "./avatar.tsx";
import { clockOf } from "./format-time.ts";
import { Reactions } from "./reactions.tsx";
import { hrefOf } from "./use-route.ts";

export interface MessageItemProps {
  readonly message: Message;
  readonly userId: string;
  /** It stands below one of the same author, without name and picture. */
  readonly isBelow: boolean;
  readonly reactions: readonly Reaction[];
}

/** One message of a channel, with its reactions and the way to its thread. */
export const MessageItem = memo(function MessageItem(props: MessageItemProps) {
  const { message, userId, isBelow, reactions } = props;
  const { id, channelId, authorName, text, createdAt, replyCount } = message;
  const replies = `${replyCount} ${replyCount === 1 ? "reply" : "replies"}`;
  return (
    <li className={isBelow ? "message below" : "message"} data-item={id} data-testid="message">
      {isBelow ? <span className="gap" /> : <Avatar name={authorName} />}
      <div className="body">
        {!isBelow && <MessageHead authorName={authorName} createdAt={createdAt} />}
        <p className="text">{text}</p>
        {createdAt ? (
          <>
            {replyCount > 0 && (
              <a className="replies" href={hrefOf(channelId, id)}>
                {replies}
              </a>
            )}
            <Reactions
              message={message}
              messageAt={createdAt}
              userId={userId}
              reactions={reactions}
            />
          </>
        ) : (
          isBelow && <span className="waiting">Waits to be sent</span>
        )}
      </div>
    </li>
  );
});

/** Who wrote a message, and when. */
export function MessageHead({
  authorName,
  createdAt,
}: Pick<Message, "authorName" | "createdAt">) {
  return (
    <p className="head">
      <strong>{authorName}</strong>{" "}
      {createdAt ? (
        <time dateTime={createdAt}>{clockOf(createdAt)}</time>
      ) : (
        <span className="waiting">Waits to be sent</span>
      )}
    </p>
  );
}
