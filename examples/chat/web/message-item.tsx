import { memo } from "react";
import type { Message, Reaction } from "../pylon.client.ts";
import { Avatar } from "./avatar.tsx";
import { clockOf } from "./format-time.ts";
import { MessageFile } from "./message-file.tsx";
import { MessageHead } from "./message-head.tsx";
import { Reactions } from "./reactions.tsx";
import { hrefOf } from "./use-route.ts";

export interface MessageItemProps {
  readonly message: Message;
  readonly userId: string;
  /** Whether it follows a message of the same author, without a name and picture. */
  readonly isBelow: boolean;
  readonly reactions: readonly Reaction[];
}

/** A message of a channel, with its reactions and a link to its thread. */
export const MessageItem = memo(function MessageItem(props: MessageItemProps) {
  const { message, userId, isBelow, reactions } = props;
  const { id, channelId, authorName, text, file, fileName, createdAt, replyCount } = message;
  const replies = `${replyCount} ${replyCount === 1 ? "reply" : "replies"}`;
  return (
    // Focusable, so that its actions are shown for keyboard and touch users.
    <li
      className={isBelow ? "message below" : "message"}
      tabIndex={0}
      data-item={id}
      data-testid="message"
    >
      {isBelow ? <span className="gap" /> : <Avatar name={authorName} />}
      <div className="body">
        {!isBelow && <MessageHead message={message} formatTime={clockOf} />}
        {text !== "" && <p className="text">{text}</p>}
        {file && <MessageFile id={file} name={fileName ?? "file"} />}
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
