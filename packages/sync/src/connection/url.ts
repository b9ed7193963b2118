// Does not use `URL`: in React Native it has no setters and, in older versions, few getters.

const LOOPBACK = /^https?:\/\/(localhost|[^/:]+\.localhost|127(\.\d+){3}|\[::1\])([:/]|$)/i;

/** Whether a server runs on the developer's machine. */
export function isDevServer(baseUrl: string): boolean {
  return LOOPBACK.test(baseUrl);
}

/**
 * Returns the WebSocket URL of a server at `baseUrl`: the same host and port, path `/ws`.
 *
 * @throws TypeError if it is not a URL
 */
export function socketUrl(baseUrl: string): string {
  if (!/^https?:\/\/./i.test(baseUrl)) throw new TypeError(`Not a server URL: ${baseUrl}`);
  return `${baseUrl.replace(/^http/i, "ws").replace(/\/$/, "")}/ws`;
}

/** Adds the cursor to the query of `url`, so that the server sends the changes since then. */
export function withCursor(url: string, cursor: Cursor): string {
  const [path, query = ""] = url.split("?");
  const others = `&${query}`.replaceAll(/&((since|epoch)=[^&]*|$)/g, "");
  return `${path}?${cursorQuery(cursor)}${others}`;
}

/** Returns the cursor as a query string: `since=5&epoch=x`. */
export function cursorQuery({ seq, epoch }: Cursor): string {
  return `since=${seq}${epoch === null ? "" : `&epoch=${encodeURIComponent(epoch)}`}`;
}

interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}
