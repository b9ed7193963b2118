import { db } from "@pylonsync/react";
import type { Person } from "../pylon.client.ts";
import { JoinChannel } from "./join-channel.tsx";
import { OpenChannel } from "./open-channel.tsx";
import { Sidebar } from "./sidebar.tsx";
import { useRoute } from "./use-route.ts";

/** The three columns: channels, messages, and a thread, a search or the members. */
export function Workspace({ person }: { readonly person: Person }) {
  const { channelId, threadId } = useRoute();
  const { userId } = person;
  const { data: channels, isComplete } = db.useQuery("Channel", { orderBy: { name: "asc" } });
  const { data: memberships, ...own } = db.useQuery("Member", { where: { userId } });
  const { data: marks } = db.useQuery("ReadMark", { where: { userId } });
  const channel = channels.find(({ id }) => id === channelId);
  const isMember = memberships.some((membership) => membership.channelId === channelId);
  return (
    <div className="workspace" data-shows={channel === undefined ? "channels" : "channel"}>
      <Sidebar
        person={person}
        channels={channels}
        memberships={memberships}
        marks={marks}
        openId={channelId}
      />
      {channel === undefined ? (
        <main className="channel notice">
          {isComplete ? "Choose a channel to read it." : "Loading…"}
        </main>
      ) : isMember ? (
        <OpenChannel
          key={channel.id}
          channel={channel}
          person={person}
          threadId={threadId}
          mark={marks.find((mark) => mark.channelId === channel.id)}
        />
      ) : (
        <JoinChannel channel={channel} isKnown={own.isComplete} />
      )}
    </div>
  );
}
