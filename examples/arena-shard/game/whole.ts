/** The nearest integer, and never -0, which JSON does not support. */
export function whole(value: number): number {
  return Math.round(value) + 0;
}
