import type { Member } from "../pylon.client.ts";
import { Avatar } from "./avatar.tsx";

export interface MembersPaneProps {
  readonly members: readonly Member[];
  /** The other members who are in the channel's room. */
  readonly peers: readonly { readonly user_id: string }[];
  readonly userId: string;
}

/** The members of a channel, those who are present first. */
export function MembersPane({ members, peers, userId }: MembersPaneProps) {
  const here = new Set([userId, ...peers.map((peer) => peer.user_id)]);
  return (
    <aside className="pane members" aria-label="Members">
      <header>
        <h2>Members</h2>
      </header>
      <MemberList title="Here now" members={members.filter((one) => here.has(one.userId))} isHere />
      <MemberList title="Away" members={members.filter((one) => !here.has(one.userId))} />
    </aside>
  );
}

interface MemberListProps {
  readonly title: string;
  readonly members: readonly Member[];
  readonly isHere?: boolean;
}

function MemberList({ title, members, isHere = false }: MemberListProps) {
  if (members.length === 0) return null;
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <ul>
        {members.map(({ id, name }) => (
          <li key={id} className={isHere ? "here" : "away"}>
            <Avatar name={name} />
            <span className="name">{name}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
