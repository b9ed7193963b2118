import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import { timeoutSignal } from "../../util/timeout-signal.ts";

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
/** GitHub and Reddit reject requests without a user agent. */
const USER_AGENT = "pylon";

/** Resolves a host to addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;
/** Requests a URL; like the global `fetch`. */
export type Fetch = (url: string, init?: BunFetchRequestInit) => Promise<Response>;

/** How requests to providers are sent. */
export interface OutgoingOptions {
  /** In dev mode providers may run on this machine or in its network, without TLS. */
  readonly dev: boolean;
  readonly platform: Pick<Platform, "after">;
  readonly resolve?: Resolve;
}

/**
 * The `fetch` for providers. It rejects a URL that is not https or whose address is not public, and
 * connects to exactly the address that it checked, so that the name can't resolve to another one in
 * between. It follows no redirect, takes at most 10 s, and limits the size of responses.
 */
export function outgoing({ dev, platform, resolve = resolveHost }: OutgoingOptions): Fetch {
  return async (url, init = {}) => {
    const target = new URL(url);
    const signal = timeoutSignal(platform, TIMEOUT_MS);
    const headers = new Headers(init.headers);
    headers.set("User-Agent", USER_AGENT);
    const options = {
      ...init,
      headers,
      signal,
      redirect: "manual" as const,
    };
    if (dev) return bounded(await fetch(target, options));
    const address = await publicAddress(target, resolve);
    return bounded(await fetchAt(target, address, options));
  };
}

/**
 * @throws PylonError OAUTH_UNREACHABLE when the URL is not https, or its host is, or may be, in a
 *   private network
 */
export async function publicAddress(url: URL, resolve: Resolve): Promise<string> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (url.protocol !== "https:") throw unreachable(`The URL of ${url.host} is not an https URL.`);
  const { isIP } = await import("node:net");
  const { isPublic } = await import("./public-address.ts");
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  const [first] = addresses;
  if (first === undefined || !addresses.every(isPublic))
    throw unreachable(`${url.host} is not a public address.`);
  // IPv4 is preferred: not every machine has IPv6.
  return addresses.find((address) => isIP(address) === 4) ?? first;
}

/** Requests the URL at this address; the certificate must be that of the URL's host. */
export function fetchAt(url: URL, address: string, init: BunFetchRequestInit): Promise<Response> {
  const pinned = new URL(url);
  pinned.hostname = address.includes(":") ? `[${address}]` : address;
  const headers = new Headers(init.headers);
  headers.set("Host", url.host);
  return fetch(pinned, { ...init, headers, tls: { ...init.tls, serverName: url.hostname } });
}

/** Returns all addresses of a host, as the machine resolves it. */
export async function resolveHost(host: string): Promise<string[]> {
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Returns the response with its whole body read. */
async function bounded(response: Response): Promise<Response> {
  if (response.status >= 300 && response.status < 400) throw unreachable("It returned a redirect.");
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw unreachable("Its response is too large.");
    chunks.push(chunk);
  }
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  const hasBody = response.status !== 204 && response.status !== 205;
  return new Response(hasBody ? Buffer.concat(chunks) : null, { status: response.status, headers });
}

function unreachable(why: string): PylonError {
  return new PylonError("OAUTH_UNREACHABLE", `The request to the provider failed. ${why}`);
}
