import type { Message } from "../pylon.client.ts";

export interface MessageHeadProps {
  readonly message: Message;
  readonly formatTime: (createdAt: string) => string;
}

/** The author and the time of a message. */
export function MessageHead({ message, formatTime }: MessageHeadProps) {
  const { authorName, createdAt } = message;
  return (
    <p className="head">
      <strong>{authorName}</strong>{" "}
      {createdAt ? (
        <time dateTime={createdAt}>{formatTime(createdAt)}</time>
      ) : (
        <span className="waiting">Waits to be sent</span>
      )}
    </p>
  );
}
