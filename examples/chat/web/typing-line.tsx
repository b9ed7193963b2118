import type { Member } from "../pylon.client.ts";
import { isTyping } from "./use-typing.ts";

export interface TypingLineProps {
  readonly peers: readonly { readonly user_id: string; readonly data?: unknown }[];
  readonly members: readonly Member[];
}

/** Shows who is typing, with the names of the members, which cannot be forged. */
export function TypingLine({ peers, members }: TypingLineProps) {
  const ids = new Set(peers.filter(isTyping).map(({ user_id: userId }) => userId));
  const names = members.filter(({ userId }) => ids.has(userId)).map(({ name }) => name);
  const text =
    names.length === 0
      ? ""
      : names.length === 1
        ? `${names[0]} is typing…`
        : names.length === 2
          ? `${names.join(" and ")} are typing…`
          : `${names.length} people are typing…`;
  return (
    <p className="typing" aria-live="polite">
      {text}
    </p>
  );
}
