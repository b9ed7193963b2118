/** The whole of 127.0.0.0/8, `localhost` and what is below it, and IPv6's own. */
const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Whether a page of this origin is one of this server's own: of the same host and port. In dev mode
 * the page often comes from another port, such as a front-end dev server's: there also what is of
 * this machine, or of the host that the request came to.
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
