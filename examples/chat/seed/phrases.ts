/** The authors in the seeded channels. */
export const NAMES = [
  "Ada Okafor",
  "Ben Marsh",
  "Chiara Ricci",
  "Daniel Novak",
  "Emi Tanaka",
  "Farid Haddad",
  "Grace Lindqvist",
  "Hugo Almeida",
] as const;

/** The texts of their messages; `{topic}` is replaced. */
export const SENTENCES = [
  "Has anybody looked at {topic} since Tuesday?",
  "I pushed a fix for {topic}, review welcome.",
  "{topic} is green again.",
  "Moving {topic} to next week, the numbers are not ready.",
  "Good catch. I'll take {topic}.",
  "Can we talk about {topic} after lunch?",
  "The draft for {topic} is in the shared folder.",
  "Two customers asked about {topic} today.",
  "Let's keep {topic} simple for the first version.",
  "I measured {topic} again: about a third faster on the old laptop.",
  "Thanks, that helped!",
  "Agreed.",
  "On it.",
  "Could you add a line on {topic} to the changelog?",
  "I was wrong about {topic}. It only happens when the cache is cold, so the test never saw it.",
] as const;

/** The topics of their messages. */
export const TOPICS = [
  "the search page",
  "the import",
  "the onboarding mail",
  "the release notes",
  "the pricing table",
  "dark mode",
  "the sync benchmark",
  "the invoice export",
  "the sign-in form",
  "the map",
] as const;

/** The last messages of the seeded conversation: the author (as an index of NAMES) and the text. */
export const CLOSING: readonly (readonly [author: number, text: string])[] = [
  [0, "Morning! The preview of the new search page is up."],
  [4, "Looks great. The empty state could say what one may search for."],
  [0, "Good idea, I'll add an example."],
  [2, "I tried it on a small phone: everything fits, only the filter row wraps."],
  [5, "I have a fix for the row, it is one line.\nReview welcome."],
  [6, "Reviewed and merged. Shall we ship it today?"],
  [0, "Let's. I'll write the release notes after lunch."],
] as const;
