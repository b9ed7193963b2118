/**
 * Returns the encoding that a client prefers by its `Accept-Encoding`, among equals the first of
 * ours, or null if it accepts none.
 *
 * @param ours the supported encodings, best first
 */
export function wantedEncoding<E extends string>(
  accept: string | null,
  ours: readonly E[],
): E | null {
  const weights = new Map<string, number>();
  for (const part of accept?.toLowerCase().split(",") ?? []) {
    const [name = "", ...params] = part.split(";").map((text) => text.trim());
    const q = params.find((param) => param.startsWith("q="));
    weights.set(name, q === undefined ? 1 : Number(q.slice(2)) || 0);
  }
  let best: E | null = null;
  let most = 0;
  for (const encoding of ours) {
    const weight = weights.get(encoding) ?? weights.get("*") ?? 0;
    if (weight > most) [best, most] = [encoding, weight];
  }
  return best;
}
