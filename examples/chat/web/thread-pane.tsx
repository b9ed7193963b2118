import { db } from "@pylonsync/react";
import { useMemo, useRef } from "react";
import { Composer } from "./composer.tsx";
import { PlainMessage } from "./plain-message.tsx";
import { useKeepScroll } from "./use-keep-scroll.ts";
import { byTime } from "./use-messages.ts";
import { hrefOf } from "./use-route.ts";

const MAX_REPLIES = 200;

export interface ThreadPaneProps {
  readonly channelId: string;
  readonly messageId: string;
}

/** A message and the replies to it. */
export function ThreadPane({ channelId, messageId }: ThreadPaneProps) {
  const { data: message, loading } = db.useQueryOne("Message", messageId);
  const { data, isComplete } = db.useQuery("Message", {
    where: { parentId: messageId },
    orderBy: { createdAt: "desc" },
    limit: MAX_REPLIES,
  });
  const replies = useMemo(() => data.toSorted(byTime), [data]);
  // A function instead of `db.insert`: it counts the reply in the same transaction.
  const reply = db.useMutation("reply");
  const box = useRef<HTMLDivElement>(null);
  useKeepScroll(box);
  return (
    <aside className="pane thread" aria-label="Thread">
      <header>
        <h2>Thread</h2>
        <a className="quiet" href={hrefOf(channelId)} aria-label="Close thread">
          ✕
        </a>
      </header>
      <div className="messages" ref={box} tabIndex={0} role="log" aria-label="Replies">
        {message === null ? (
          <p className="notice">{loading ? "Loading…" : "The message was not found."}</p>
        ) : (
          <ol>
            <PlainMessage message={message} />
            <li className="day">
              <span>{isComplete ? repliesText(replies.length) : "Loading…"}</span>
            </li>
            {replies.map((one) => (
              <PlainMessage key={one.id} message={one} />
            ))}
          </ol>
        )}
      </div>
      {reply.error !== null && (
        <p className="error" role="alert">
          {reply.error.message}
        </p>
      )}
      <Composer label="Reply" onSend={(text) => reply.mutate({ parentId: messageId, text })} />
    </aside>
  );
}

function repliesText(count: number): string {
  if (count === 0) return "No replies yet";
  if (count >= MAX_REPLIES) return `The last ${MAX_REPLIES} replies`;
  return count === 1 ? "1 reply" : `${count} replies`;
}
