/** A shorter word, in characters, is not nearly any other: too many would match. */
export const MIN_NEARLY_LENGTH = 4;

/**
 * Whether two words differ by one letter, which is not the first: it is missing, additional,
 * different, or swapped with its neighbour.
 */
export function isNearlySame(wanted: string, word: string): boolean {
  let [a, b] = [Array.from(wanted), Array.from(word)];
  if (a.length < MIN_NEARLY_LENGTH || Math.abs(a.length - b.length) > 1 || a[0] !== b[0])
    return false;
  const start = a.findIndex((letter, at) => letter !== b[at]);
  if (start === -1) return b.length - a.length <= 1;
  [a, b] = [a.slice(start), b.slice(start)];
  while (a.length > 0 && b.length > 0 && a.at(-1) === b.at(-1)) {
    a.pop();
    b.pop();
  }
  if (a.length <= 1 && b.length <= 1) return true;
  return a.length === 2 && b.length === 2 && a[0] === b[1] && a[1] === b[0];
}
