import type { Channel, Member, Person, ReadMark } from "../pylon.client.ts";
import { ChannelLink } from "./channel-link.tsx";
import { ConnectionState } from "./connection-state.tsx";
import { NewChannel } from "./new-channel.tsx";

export interface SidebarProps {
  readonly person: Person;
  readonly channels: readonly Channel[];
  readonly memberships: readonly Member[];
  readonly marks: readonly ReadMark[];
  readonly openId: string | null;
}

/** The user's channels, those that they may join, and the state of the connection. */
export function Sidebar({ person, channels, memberships, marks, openId }: SidebarProps) {
  const joined = new Set(memberships.map(({ channelId }) => channelId));
  const mine = channels.filter(({ id }) => joined.has(id));
  const others = channels.filter(({ id }) => !joined.has(id));
  return (
    <nav className="sidebar" aria-label="Channels">
      <h1>Chat</h1>
      <h2>Channels</h2>
      <ul>
        {mine.map((channel) => (
          <ChannelLink
            key={channel.id}
            channel={channel}
            userId={person.userId}
            isOpen={channel.id === openId}
            readAt={marks.find(({ channelId }) => channelId === channel.id)?.readAt}
          />
        ))}
      </ul>
      {others.length > 0 && (
        <>
          <h2>More to join</h2>
          <ul>
            {others.map((channel) => (
              <ChannelLink
                key={channel.id}
                channel={channel}
                userId={person.userId}
                isOpen={channel.id === openId}
              />
            ))}
          </ul>
        </>
      )}
      <NewChannel />
      <ConnectionState name={person.name} />
    </nav>
  );
}
