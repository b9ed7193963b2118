/**
 * Returns the address by which limits count.
 *
 * @param peer the address at the other end of the connection
 * @param forwardedFor the X-Forwarded-For header
 * @param trustedHops the number of trusted proxies in front; each has appended one entry, so the
 *   client's is that many from the right
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | null,
  trustedHops: number,
): string {
  if (trustedHops === 0 || forwardedFor === null) return peer;
  const entries = forwardedFor.split(",");
  return addressIn(entries.at(-trustedHops) ?? entries[0] ?? "") ?? peer;
}

/**
 * Some proxies append the client's port, `1.2.3.4:5678` or `[::1]:80`: with it each connection
 * would count as another address.
 *
 * @returns null for an entry that is not an address, such as `unknown`
 */
function addressIn(entry: string): string | null {
  const text = entry.trim().replace(/^"(.*)"$/, "$1");
  const plain =
    /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1] ?? /^([^:]*):\d*$/.exec(text)?.[1] ?? text;
  // Loaded only behind a proxy, because it loads all of node:net and its streams.
  return process.getBuiltinModule("node:net").isIP(plain) === 0 ? null : plain;
}
