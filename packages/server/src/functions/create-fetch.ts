import { fetchAt, publicAddress, resolveHost } from "../auth/oauth/outgoing.ts";
import { FetchError, type Fetch } from "./function-fetch.ts";

/**
 * Creates the function that sends the requests of `ctx.fetch`.
 *
 * @param dev whether functions may send requests to this machine and its network
 */
export function createFetch(dev: boolean): Fetch {
  if (dev) return (url, init) => fetch(url, init);
  return async (url, init) => {
    const address = await publicAddress(url, resolveHost).catch((cause: unknown) => {
      throw new FetchError(
        `ctx.fetch only allows https URLs of public addresses, not ${url.host}.`,
        {
          cause,
        },
      );
    });
    return fetchAt(url, address, init);
  };
}
