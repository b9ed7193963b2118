import { PylonError } from "@pylonsync/protocol";

/**
 * Returns the path and query of a request's URL. The host before them is what the client wrote in
 * its Host header: it may be absent, or not a host at all.
 */
export function targetOf(url: string): string {
  const scheme = url.indexOf("://");
  // A path may contain `://` too.
  if (scheme === -1 || scheme > url.indexOf("/")) return url.startsWith("/") ? url : `/${url}`;
  const start = url.indexOf("/", scheme + 3);
  return start === -1 ? "/" : url.slice(start);
}

/** Returns the path unchanged, without the query. */
export function pathOf(url: string): string {
  const target = targetOf(url);
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/** Returns the request's URL for its path and query; its host is a placeholder. */
export function urlOf(request: Request): URL {
  return new URL(`http://host.invalid${targetOf(request.url)}`);
}

/** Returns only the query of a request's URL, which is cheaper than parsing all of it. */
export function queryOf({ url }: Request): URLSearchParams {
  const start = url.indexOf("?");
  const end = url.indexOf("#");
  return new URLSearchParams(
    start === -1 ? "" : url.slice(start + 1, end === -1 ? undefined : Math.max(end, start + 1)),
  );
}

/**
 * Returns the origin at which the client reached this server, without a trailing slash.
 *
 * @throws PylonError INVALID_DATA when the Host header is not a host
 */
export function originOf(request: Request): string {
  if (URL.canParse(request.url)) return new URL(request.url).origin;
  throw new PylonError("INVALID_DATA", "The Host header is not a valid host name.", {
    field: "Host",
    hint: "Send the host you connect to, such as localhost:4321.",
  });
}
