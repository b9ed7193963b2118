/** The nearest whole number, and never -0, which JSON does not know. */
export function whole(value: number): number {
  return Math.round(value) + 0;
}
