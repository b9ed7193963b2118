import { db, useRoom, useUpload } from "@pylonsync/react";
import { useCallback, useState } from "react";
import type { Channel, Person, ReadMark } from "../pylon.client.ts";
import { ChannelHeader } from "./channel-header.tsx";
import { Composer, type AttachedFile } from "./composer.tsx";
import { MembersPane } from "./members-pane.tsx";
import { MessageList } from "./message-list.tsx";
import { SearchPane } from "./search-pane.tsx";
import { ThreadPane } from "./thread-pane.tsx";
import { TypingLine } from "./typing-line.tsx";
import { useMarkRead } from "./use-mark-read.ts";
import { useMessages } from "./use-messages.ts";
import { useTyping } from "./use-typing.ts";

export interface OpenChannelProps {
  readonly channel: Channel;
  readonly person: Person;
  readonly threadId: string | null;
  readonly mark: ReadMark | undefined;
}

/** A channel that the user is a member of, with the pane beside it. */
export function OpenChannel({ channel, person, threadId, mark }: OpenChannelProps) {
  const { userId, name } = person;
  const [isSearching, setIsSearching] = useState(false);
  const shown = useMessages(channel.id);
  const room = useRoom(`channel/${channel.id}`, userId, { initialPresence: { isTyping: false } });
  const upload = useUpload({ entity: "Message", field: "file" });
  const setTyping = useTyping(room.setPresence);
  const { data: members } = db.useQuery("Member", {
    where: { channelId: channel.id },
    orderBy: { name: "asc" },
    limit: 200,
  });
  useMarkRead(mark, shown.upTo === null ? shown.messages : []);
  const { showNewest } = shown;
  const send = useCallback(
    async (text: string, file: AttachedFile | null) => {
      setTyping(false);
      showNewest();
      // The row is shown immediately, so all fields are set, except the time, which the server
      // sets.
      await db.insert("Message", {
        channelId: channel.id,
        authorId: userId,
        authorName: name,
        text,
        file: file?.id ?? null,
        fileName: file?.name ?? null,
        parentId: null,
        replyCount: 0,
      });
    },
    [channel.id, userId, name, setTyping, showNewest],
  );
  return (
    <>
      <main className="channel">
        <ChannelHeader
          channel={channel}
          hereCount={room.peers.length + 1}
          isSearching={isSearching}
          onSearch={setIsSearching}
        />
        <MessageList channelId={channel.id} userId={userId} shown={shown} />
        <TypingLine peers={room.peers} members={members} />
        <Composer
          label={`Message to #${channel.name}`}
          onSend={send}
          onType={() => setTyping(true)}
          upload={upload}
        />
      </main>
      {threadId !== null ? (
        <ThreadPane key={threadId} channelId={channel.id} messageId={threadId} />
      ) : isSearching ? (
        <SearchPane channelId={channel.id} onClose={() => setIsSearching(false)} />
      ) : (
        <MembersPane members={members} peers={room.peers} userId={userId} />
      )}
    </>
  );
}
