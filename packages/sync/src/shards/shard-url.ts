/** Where a shard is: each part has a default. */
export interface ShardAddress {
  /** The user's id. The server takes no other one. */
  readonly subscriberId: string;
  /**
   * The server: an address such as `https://api.example.com`, whose `/shards` is opened, or a
   * host's name alone, whose port `wsPort` is. Default the page's host, else `localhost`.
   */
  readonly baseUrl?: string | undefined;
  /** The port for shards, where `baseUrl` is a name. Default 4324. */
  readonly wsPort?: number | undefined;
  /** The whole address, with `shard` and `sid`, in place of all others. */
  readonly wsUrl?: string | undefined;
}

const DEFAULT_PORT = 4324;

/** The address of a shard's socket. @throws TypeError for a `baseUrl` that can not be read */
export function shardUrl(
  shardId: string,
  { subscriberId, baseUrl, wsPort = DEFAULT_PORT, wsUrl }: ShardAddress,
  page: { readonly hostname: string; readonly protocol: string } | undefined = globalThis.location,
): string {
  if (wsUrl !== undefined) return wsUrl;
  const isAddress = baseUrl !== undefined && /^[a-z]+:\/\//i.test(baseUrl);
  const isSecure = page?.protocol === "https:";
  const url = isAddress
    ? new URL(baseUrl)
    : new URL(
        `${isSecure ? "wss" : "ws"}://${baseUrl ?? page?.hostname ?? "localhost"}:${wsPort}/`,
      );
  if (isAddress) {
    url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
    url.pathname = `${url.pathname.replace(/\/$/, "")}/shards`;
  }
  url.searchParams.set("shard", shardId);
  url.searchParams.set("sid", subscriberId);
  return url.href;
}
