import { systemPlatform, type Platform, type Socket } from "@pylonsync/sync";

/**
 * Requests that are lost before the server receives them, or afterwards.
 *
 * @param fault injects a fault into a request: it waits, or throws
 */
export function faultyFetch(fault: (what: string) => Promise<void>): Platform["fetch"] {
  return async (url, init) => {
    await fault("lost on the way there");
    const response = await systemPlatform.fetch(url, init);
    // A stream never ends, so only its beginning can be lost.
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    const body = isStream ? response.body : await response.arrayBuffer();
    await fault("lost on the way back");
    return new Response(body, response);
  };
}

/** Stores every socket that is opened, so that it can be cut. */
export function socketsInto(sockets: Set<Socket>): Platform["openSocket"] {
  return (url, protocols) => {
    const socket = systemPlatform.openSocket(url, protocols);
    sockets.add(socket);
    return socket;
  };
}

/** Maps row ids to their numbers, in an engine or in the server. */
export function contents(
  rows: readonly { readonly id: string; readonly [field: string]: unknown }[],
): Record<string, unknown> {
  return Object.fromEntries(
    rows.map(({ id, n }): [string, unknown] => [id, n]).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}
