/** The socket's address for a server at `baseUrl`: the same host and port, path `/ws`. */
export function socketUrl(baseUrl: string): string {
  const url = new URL(baseUrl);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.pathname = `${url.pathname.replace(/\/$/, "")}/ws`;
  return url.href;
}

/** `url` with the cursor in its query, so that the server sends what happened since. */
export function withCursor(
  url: string,
  cursor: { readonly seq: number; readonly epoch: string | null },
): string {
  const target = new URL(url);
  target.searchParams.set("since", String(cursor.seq));
  if (cursor.epoch !== null) target.searchParams.set("epoch", cursor.epoch);
  return target.href;
}
