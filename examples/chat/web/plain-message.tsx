import type { ReactNode } from "react";
import type { Message } from "../pylon.client.ts";
import { Avatar } from "./avatar.tsx";
import { dateAndClockOf } from "./format-time.ts";
import { MessageFile } from "./message-file.tsx";
import { MessageHead } from "./message-head.tsx";

export interface PlainMessageProps {
  readonly message: Message;
  /** Shown in place of the text. */
  readonly children?: ReactNode;
}

/** A message without actions, as threads and searches show it. */
export function PlainMessage({ message, children }: PlainMessageProps) {
  const { id, authorName, text, file, fileName } = message;
  return (
    <li className="message" data-item={id} data-testid="message">
      <Avatar name={authorName} />
      <div className="body">
        <MessageHead message={message} formatTime={dateAndClockOf} />
        {text !== "" && <p className="text">{children ?? text}</p>}
        {file && <MessageFile id={file} name={fileName ?? "file"} />}
      </div>
    </li>
  );
}
