import { networkInterfaces } from "node:os";
import type { Config } from "./config/config.ts";
import type { Platform } from "./platform.ts";
import type { RelaySocket } from "./shards/shard-relay.ts";
import { RELAY_HEADER, type ProbeResult, type ReplicaNetwork } from "./shards/shard-relays.ts";
import { errorCode } from "./util/errors.ts";
import { timeoutSignal } from "./util/timeout-signal.ts";

/** How long a replica may take to respond to a probe, in milliseconds. */
const PROBE_MS = 1_000;
/** Nothing listens there: the process is gone, or the container with its address. */
const GONE_CODES: ReadonlySet<string> = new Set([
  "ConnectionRefused",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
]);
const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::", "[::]"]);

/**
 * Returns the URL at which other replicas reach this one: the configured one, the address that it
 * listens on, or the first of its machine.
 */
export function advertisedUrl(
  { advertiseUrl, host }: Pick<Config, "advertiseUrl" | "host">,
  port: number,
): string | null {
  if (advertiseUrl !== null) return advertiseUrl;
  const address = EVERYWHERE.has(host) ? firstAddress() : host;
  if (address === null) return null;
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function firstAddress(): string | null {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = addresses.filter(({ internal }) => !internal);
  const first = outside.find(({ family }) => family === "IPv4") ?? outside[0];
  return first?.address ?? null;
}

/** Returns the connection to other replicas, at the addresses that they advertise. */
export function replicaNetwork(platform: Pick<Platform, "after">): ReplicaNetwork {
  return {
    openSocket: (url, protocols, replica): RelaySocket => {
      // Bun accepts headers here, which the DOM's type does not have.
      const options = { protocols: [...protocols], headers: { [RELAY_HEADER]: replica } };
      return Reflect.construct(WebSocket, [url, options]);
    },
    fetch: (url, { headers, ...request }) => fetch(url, { ...request, headers: { ...headers } }),
    probe: (address, replica) => probe(platform, address, replica),
  };
}

async function probe(
  platform: Pick<Platform, "after">,
  address: string,
  replica: string,
): Promise<ProbeResult> {
  try {
    const { status } = await fetch(`${address}/shards`, {
      headers: { [RELAY_HEADER]: replica },
      signal: timeoutSignal(platform, PROBE_MS),
    });
    return status === 204 ? "alive" : "gone";
  } catch (error) {
    return GONE_CODES.has(errorCode(error) ?? "") ? "gone" : "unknown";
  }
}
