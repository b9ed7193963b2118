/**
 * The address that limits count by.
 *
 * @param peer the address at the other end of the connection
 * @param forwardedFor the X-Forwarded-For header
 * @param trustedHops how many proxies of ours stand in front; each has appended one entry, so the
 *   client's is that many from the right
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | null,
  trustedHops: number,
): string {
  if (trustedHops === 0 || forwardedFor === null) return peer;
  const entries = forwardedFor.split(",");
  return entries.at(-trustedHops)?.trim() ?? entries[0]?.trim() ?? peer;
}
