/** All of 127.0.0.0/8, `localhost` and its subdomains, and IPv6's loopback address. */
const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a page of this origin belongs to this server: it has the same host and port. In dev mode,
 * pages often come from another port, such as a front-end dev server's, so origins of this machine
 * or of the request's host also count.
 *
 * @param origin the header of the request, or the origin of a URL
 * @param host the `Host` header
 */
export function isOwnOrigin(origin: string, host: string | null, dev: boolean): boolean {
  const ownUrl = `http://${host ?? ""}`;
  if (!URL.canParse(origin) || !URL.canParse(ownUrl)) return false;
  const own = new URL(ownUrl);
  const page = new URL(origin);
  return page.host === own.host || (dev && isOfThisMachine(page.hostname, own.hostname));
}

function isOfThisMachine(hostname: string, ownHostname: string): boolean {
  return hostname === ownHostname || LOOPBACK.test(hostname);
}
