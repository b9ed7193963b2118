/** The number of requested parents, and the number of children of each. */
export const PARENTS = 50;
export const CHILDREN = 20;
/** The total number of parents. */
const POSTS = 500;

const padded = (n: number): string => String(n).padStart(6, "0");

export function postRows(): { id: string; title: string }[] {
  return Array.from({ length: POSTS }, (_, n) => ({ id: `p${padded(n)}`, title: `Post ${n}` }));
}

export function commentRows(): { id: string; postId: string; text: string }[] {
  return Array.from({ length: POSTS * CHILDREN }, (_, n) => ({
    id: `c${padded(n)}`,
    postId: `p${padded(n % POSTS)}`,
    text: "a comment of some forty characters, or so",
  }));
}
