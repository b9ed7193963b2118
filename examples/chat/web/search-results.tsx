import { db } from "@pylonsync/react";
import { PlainMessage } from "./plain-message.tsx";
import { hrefOf } from "./use-route.ts";

const MAX_RESULTS = 30;

export interface SearchResultsProps {
  readonly channelId: string;
  readonly text: string;
}

/** The newest messages that contain a text, live. Each links to its thread. */
export function SearchResults({ channelId, text }: SearchResultsProps) {
  const { data, isComplete, error } = db.useQuery("Message", {
    where: { channelId, text: { $like: text } },
    orderBy: { createdAt: "desc" },
    limit: MAX_RESULTS,
  });
  if (error !== null)
    return (
      <p className="error" role="alert">
        {error.message}
      </p>
    );
  if (data.length === 0)
    return (
      <p className="notice" role="status">
        {isComplete ? `Nothing contains “${text}”.` : "Searching…"}
      </p>
    );
  return (
    <ol className="messages results">
      {data.map((message) => (
        <PlainMessage key={message.id} message={message}>
          <a href={hrefOf(channelId, message.parentId ?? message.id)}>
            <Marked text={message.text} found={text} />
          </a>
        </PlainMessage>
      ))}
    </ol>
  );
}

/** A text with the search text highlighted. */
function Marked({ text, found }: { readonly text: string; readonly found: string }) {
  const at = text.indexOf(found);
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{found}</mark>
      {text.slice(at + found.length)}
    </>
  );
}
