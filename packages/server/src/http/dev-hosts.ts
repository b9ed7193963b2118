import { PylonError } from "@pylonsync/protocol";

/** Checks all four parts, because a name may start like an address. */
const V4 = /^\d+\.\d+\.\d+\.\d+$/;
const PRIVATE_V4 = /^(?:(?:127|10|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\.|0\.0\.0\.0$)/;
/** Loopback, unique local and link-local addresses, in the format of `URL`. */
const PRIVATE_V6 = /^\[(?:::1?|f[cd][0-9a-f]{2}:.*|fe[89ab][0-9a-f]:.*)\]$/;
/** Private IPv4 addresses that are written as IPv6. */
const PRIVATE_MAPPED = /^\[::ffff:(?:7f[0-9a-f]{2}|a[0-9a-f]{2}|c0a8|a9fe|ac1[0-9a-f]):.*\]$/;

/**
 * The host names that a server in dev mode accepts. It is open to each client that can reach it,
 * except for pages of other sites. A page whose own name resolves to this machine (DNS rebinding)
 * would count as the same site, but is recognized by that name.
 */
export class DevHosts {
  readonly #named: readonly string[];

  /** @param named additional hosts; one that begins with a dot also matches all its subdomains */
  constructor(named: readonly string[]) {
    this.#named = named.map((name) => name.toLowerCase());
  }

  /**
   * @param host the request's header, which browsers always send; null for a client without one
   * @throws PylonError HOST_REJECTED
   */
  check(host: string | null): void {
    if (host === null || this.#allows(host)) return;
    throw new PylonError(
      "HOST_REJECTED",
      `In dev mode, this server does not accept requests for "${host.slice(0, 100)}".`,
      {
        hint:
          "Use localhost or an address of the local network, or add the host to " +
          "PYLON_DEV_HOSTS.",
      },
    );
  }

  #allows(host: string): boolean {
    const url = `http://${host}`;
    if (!URL.canParse(url)) return false;
    const name = new URL(url).hostname.replace(/\.$/, "");
    if (
      name === "localhost" ||
      name.endsWith(".localhost") ||
      (V4.test(name) && PRIVATE_V4.test(name)) ||
      PRIVATE_V6.test(name) ||
      PRIVATE_MAPPED.test(name)
    )
      return true;
    return this.#named.some((named) =>
      named.startsWith(".") ? name.endsWith(named) : name === named,
    );
  }
}
