/** A shorter word, in characters, is not nearly any other: too many would match. */
export const MIN_NEARLY_LENGTH = 4;

/**
 * Returns a test whether other words differ from a word by at most one letter, which is not the
 * first: it is missing, additional, different, or swapped with its neighbour.
 */
export function nearlySameAs(wanted: string): (word: string) => boolean {
  const letters = Array.from(wanted);
  const first = wanted.codePointAt(0);
  // A letter has one or two units. Most words of a text are rejected by this, which takes no time.
  const [shortest, longest] = [letters.length - 1, 2 * (letters.length + 1)];
  if (letters.length < MIN_NEARLY_LENGTH) return () => false;
  return (word) =>
    word.length >= shortest &&
    word.length <= longest &&
    word.codePointAt(0) === first &&
    isOneApart(letters, Array.from(word));
}

function isOneApart(wanted: readonly string[], word: readonly string[]): boolean {
  if (Math.abs(wanted.length - word.length) > 1) return false;
  const start = wanted.findIndex((letter, at) => letter !== word[at]);
  if (start === -1) return word.length - wanted.length <= 1;
  const [a, b] = [wanted.slice(start), word.slice(start)];
  while (a.length > 0 && b.length > 0 && a.at(-1) === b.at(-1)) {
    a.pop();
    b.pop();
  }
  if (a.length <= 1 && b.length <= 1) return true;
  return a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0];
}
