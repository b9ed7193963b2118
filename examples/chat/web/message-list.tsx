import { Fragment, useEffect, useRef } from "react";
import type { Message, Reaction } from "../pylon.client.ts";
import { dayOf } from "./format-time.ts";
import { MessageItem } from "./message-item.tsx";
import { useKeepScroll } from "./use-keep-scroll.ts";
import type { Messages } from "./use-messages.ts";
import { useReactions } from "./use-reactions.ts";

/** A message within this many milliseconds of the same author's last one is grouped with it. */
const TOGETHER_MS = 5 * 60_000;
const NO_REACTIONS: readonly Reaction[] = [];

export interface MessageListProps {
  readonly channelId: string;
  readonly userId: string;
  readonly shown: Messages;
}

/** The messages of a channel. It loads earlier ones near its top. */
export function MessageList({ channelId, userId, shown }: MessageListProps) {
  const { messages, hasEarlier, isLoading, upTo, showEarlier, showNewest } = shown;
  const box = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLParagraphElement>(null);
  const reactions = useReactions(channelId, messages, upTo);
  useKeepScroll(box);
  useEffect(() => {
    if (top.current === null || isLoading || !hasEarlier) return undefined;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting === true) showEarlier();
      },
      { root: box.current, rootMargin: "600px 0px 0px 0px" },
    );
    observer.observe(top.current);
    return () => observer.disconnect();
  });
  return (
    <div className="messages" ref={box} tabIndex={0} role="log" aria-label="Messages">
      <p className="start muted" ref={top}>
        {hasEarlier
          ? "Loading messages…"
          : messages.length > 0
            ? "This is the beginning of the channel."
            : "Nobody has written here yet. Say hello."}
      </p>
      <ol>
        {messages.map((message, index) => {
          const before = messages[index - 1];
          const day = dayOf(message.createdAt);
          const isNewDay = before === undefined || day !== dayOf(before.createdAt);
          return (
            <Fragment key={message.id}>
              {isNewDay && (
                <li className="day">
                  <span>{day}</span>
                </li>
              )}
              <MessageItem
                message={message}
                userId={userId}
                isBelow={!isNewDay && isTogether(before, message)}
                reactions={reactions.get(message.id) ?? NO_REACTIONS}
              />
            </Fragment>
          );
        })}
      </ol>
      {upTo !== null && (
        <button className="primary newest" onClick={showNewest}>
          Show the newest messages
        </button>
      )}
    </div>
  );
}

function isTogether(before: Message, message: Message): boolean {
  return (
    before.authorId === message.authorId &&
    timeOf(message.createdAt) - timeOf(before.createdAt) < TOGETHER_MS
  );
}

function timeOf(createdAt: string | null): number {
  return createdAt ? Date.parse(createdAt) : Date.now();
}
