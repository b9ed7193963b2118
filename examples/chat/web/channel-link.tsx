import type { Channel } from "../pylon.client.ts";
import { UnreadCount } from "./unread-count.tsx";
import { hrefOf } from "./use-route.ts";

export interface ChannelLinkProps {
  readonly channel: Channel;
  readonly userId: string;
  readonly isOpen: boolean;
  /** The time up to which the user has read it; undefined for users who are not members. */
  readonly readAt?: string | undefined;
}

export function ChannelLink({ channel, userId, isOpen, readAt }: ChannelLinkProps) {
  return (
    <li>
      <a href={hrefOf(channel.id)} aria-current={isOpen ? "page" : undefined}>
        <span className="hash">#</span>
        <span className="name">{channel.name}</span>
        {readAt !== undefined && !isOpen && (
          <UnreadCount channelId={channel.id} userId={userId} readAt={readAt} />
        )}
      </a>
    </li>
  );
}
