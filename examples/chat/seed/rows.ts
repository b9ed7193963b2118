import { CLOSING, NAMES, SENTENCES, TOPICS } from "./phrases.ts";
import { seededRandom } from "./random.ts";

type Row = Readonly<Record<string, unknown>>;

/** Rows by entity, in the form that `pylon seed` accepts. */
export type SeedRows = Readonly<Record<string, readonly Row[]>>;

const CHANNELS = ["general", "design", "random"] as const;
const MEAN_PAUSE_MS = 100_000;
const REACTIONS = ["👍", "❤️", "🎉"] as const;
const REACTION_SHARE = 0.1;

/**
 * A team of eight, and a long conversation in #general.
 *
 * @param count the number of its messages
 * @param until the time of the last message
 */
export function seedRows(count: number, until: Date): SeedRows {
  const people = NAMES.map((name, index) => ({ id: `person-${index}`, userId: idOf(index), name }));
  const members = CHANNELS.flatMap((channel) =>
    people.map(({ userId, name }) => ({
      id: `${channel}-${userId}`,
      channelId: `channel-${channel}`,
      userId,
      name,
    })),
  );
  return {
    Person: people,
    Channel: CHANNELS.map((name) => ({ id: `channel-${name}`, name })),
    Member: members,
    ...talk(count, until),
  };
}

/** The messages of #general, from the last to the first, and reactions to them. */
function talk(count: number, until: Date): SeedRows {
  const random = seededRandom(1);
  const pick = <T>(from: readonly [T, ...T[]] | readonly T[]): T | undefined =>
    from[Math.floor(random() * from.length)];
  const messages: Row[] = [];
  const reactions: Row[] = [];
  let at = until.getTime();
  for (let left = count; left > 0; left -= 1) {
    const said = CLOSING[CLOSING.length - 1 - (count - left)];
    const author = said?.[0] ?? Math.floor(random() * NAMES.length);
    const text = said?.[1] ?? pick(SENTENCES)?.replace("{topic}", pick(TOPICS) ?? "");
    const message = {
      id: `message-${String(left).padStart(6, "0")}`,
      channelId: "channel-general",
      authorId: idOf(author),
      authorName: NAMES[author],
      text: text === undefined ? "" : text.slice(0, 1).toUpperCase() + text.slice(1),
      createdAt: new Date(at).toISOString(),
    };
    messages.push(message);
    if (random() < REACTION_SHARE)
      reactions.push({
        id: `reaction-${left}`,
        channelId: message.channelId,
        messageId: message.id,
        messageAt: message.createdAt,
        emoji: pick(REACTIONS),
        userId: idOf(Math.floor(random() * NAMES.length)),
      });
    at -= 1 + Math.floor(random() * 2 * MEAN_PAUSE_MS);
  }
  return { Message: messages.toReversed(), Reaction: reactions };
}

function idOf(person: number): string {
  return `seeded-person-${person}`;
}
