import type { ReactNode } from "react";
import type { Message } from "../pylon.client.ts";
import { Avatar } from "./avatar.tsx";
import { dateAndClockOf } from "./format-time.ts";
import { MessageHead } from "./message-head.tsx";

export interface PlainMessageProps {
  readonly message: Message;
  /** In place of its text. */
  readonly children?: ReactNode;
}

/** A message without anything to do, as threads and searches show it. */
export function PlainMessage({ message, children }: PlainMessageProps) {
  const { id, authorName, text } = message;
  return (
    <li className="message" data-item={id} data-testid="message">
      <Avatar name={authorName} />
      <div className="body">
        <MessageHead message={message} formatTime={dateAndClockOf} />
        <p className="text">{children ?? text}</p>
      </div>
    </li>
  );
}
