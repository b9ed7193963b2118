import type { ShardRole } from "@pylonsync/protocol";

/** The address of a shard: each part has a default. */
export interface ShardAddress {
  /** The user's id; the server accepts no other. With a join token it may be omitted. */
  readonly subscriberId?: string | undefined;
  /** "spectator" watches without playing, if the shard allows it. Default "player". */
  readonly role?: ShardRole | undefined;
  /**
   * The maximum number of views per second, from 1 to 60: fewer for a weak network. Default: the
   * rate of the shard.
   */
  readonly viewRate?: number | undefined;
  /**
   * The server: a URL such as `https://api.example.com`, at which `/shards` is opened, or a host
   * name, whose port is `wsPort`. Default: the page's host, otherwise `localhost`.
   */
  readonly baseUrl?: string | undefined;
  /** The port for shards, if `baseUrl` is a host name. Default 4324. */
  readonly wsPort?: number | undefined;
  /** The complete URL, with `shard` and `sid`, in place of all other parts. */
  readonly wsUrl?: string | undefined;
}

const DEFAULT_PORT = 4324;

/** Returns the URL of a shard's socket. @throws TypeError for an invalid `baseUrl` */
export function shardUrl(
  shardId: string,
  { subscriberId, role, viewRate, baseUrl, wsPort = DEFAULT_PORT, wsUrl }: ShardAddress,
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
  if (subscriberId !== undefined) url.searchParams.set("sid", subscriberId);
  if (role === "spectator") url.searchParams.set("role", role);
  if (viewRate !== undefined) url.searchParams.set("rate", String(viewRate));
  return url.href;
}
