import { db } from "@pylonsync/react";
import { Avatar } from "./avatar.tsx";
import { isWriting } from "./use-writing.ts";

export interface PeopleHereProps {
  readonly peers: readonly { readonly user_id: string; readonly data?: unknown }[];
}

/** Who else has the note open, with the names of the users, which cannot be forged. */
export function PeopleHere({ peers }: PeopleHereProps) {
  const { data: people } = db.useQuery("Person");
  const here = peers.flatMap((peer) => {
    const person = people.find(({ userId }) => userId === peer.user_id);
    return person === undefined ? [] : [{ ...person, isWriting: isWriting(peer) }];
  });
  const writing = here.filter((person) => person.isWriting).map(({ name }) => name);
  const text =
    here.length === 0
      ? "Only you"
      : writing.length === 0
        ? `With ${here.map(({ name }) => name).join(", ")}`
        : `${writing.join(", ")} ${writing.length === 1 ? "is" : "are"} writing…`;
  return (
    <div className="here" data-testid="here">
      <span className="avatars">
        {here.map(({ id, name }) => (
          <span key={id} title={name}>
            <Avatar name={name} />
          </span>
        ))}
      </span>
      <span className="muted" aria-live="polite">
        {text}
      </span>
    </div>
  );
}
