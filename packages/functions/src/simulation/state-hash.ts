/** Two lanes of 32 bits, with the primes of MurmurHash3. */
const [SEED_A, SEED_B] = [0xdeadbeef, 0x41c6ce57];
const [PRIME_A, PRIME_B, PRIME_C, PRIME_D] = [2654435761, 1597334677, 2246822507, 3266489909];

/**
 * Returns a 64-bit hash of a text, as 16 hex digits, to compare states of different machines. It
 * detects accidental differences; it is not collision-resistant against attackers.
 *
 * @example
 * import { stateHash } from "@pylonsync/functions/simulation";
 *
 * const hash = stateHash(JSON.stringify({ x: 1 })); // 16 hex digits
 */
export function stateHash(text: string): string {
  let [a, b] = [SEED_A, SEED_B];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, PRIME_A);
    b = Math.imul(b ^ code, PRIME_B);
  }
  const first = mixed(a, b);
  const second = mixed(b, first);
  return hexOf(first) + hexOf(second);
}

function mixed(one: number, other: number): number {
  const left = Math.imul(one ^ (one >>> 16), PRIME_C);
  const right = Math.imul(other ^ (other >>> 13), PRIME_D);
  return left ^ right ^ (right >>> 16);
}

function hexOf(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
