import { db } from "@pylonsync/react";
import type { Channel } from "../pylon.client.ts";
import { HOME, hrefOf } from "./use-route.ts";

export interface ChannelHeaderProps {
  readonly channel: Channel;
  readonly hereCount: number;
  readonly isSearching: boolean;
  readonly onSearch: (isSearching: boolean) => void;
}

export function ChannelHeader({ channel, hereCount, isSearching, onSearch }: ChannelHeaderProps) {
  const leave = db.useMutation("leaveChannel");
  const toggleSearch = (): void => {
    location.hash = hrefOf(channel.id);
    onSearch(!isSearching);
  };
  return (
    <header>
      <a className="back" href={HOME} aria-label="All channels">
        ‹
      </a>
      <h2># {channel.name}</h2>
      <span className="here">{hereCount} here</span>
      <button className="quiet" aria-pressed={isSearching} onClick={toggleSearch}>
        Search
      </button>
      <button
        className="quiet"
        disabled={leave.loading}
        onClick={() => void leave.mutate({ channelId: channel.id })}
      >
        Leave
      </button>
    </header>
  );
}
