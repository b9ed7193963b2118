import { networkInterfaces } from "node:os";
import type { OptionValues } from "./command.ts";
import type { Environment } from "./env-files.ts";
import { CommandError, EXIT } from "./output.ts";

const MAX_PORT = 65_532;

/** The flags of every command that starts a server. */
export const LISTEN = {
  port: {
    type: "string",
    value: "N",
    summary: "The port; default PYLON_PORT, or 4321.",
  },
  host: {
    type: "string",
    value: "ADDRESS",
    summary:
      "The address to listen on; default PYLON_HOST, or 0.0.0.0 (all addresses) for start and " +
      "127.0.0.1 (this machine only) for dev.",
  },
} as const;

/**
 * The environment with the values of the flags in place of PYLON_PORT and PYLON_HOST.
 *
 * @throws CommandError USAGE
 */
export function withListenOptions(
  { port, host }: OptionValues<typeof LISTEN>,
  env: Environment,
): Environment {
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= MAX_PORT))
    throw new CommandError(
      "USAGE",
      `--port is "${port}": expected a number from 0 to ${MAX_PORT}; 0 selects a free port.`,
      EXIT.USAGE,
    );
  if (host === "")
    throw new CommandError(
      "USAGE",
      "--host is empty: expected an address, such as 0.0.0.0 for all addresses of this machine.",
      EXIT.USAGE,
    );
  return {
    ...env,
    ...(port === undefined ? {} : { PYLON_PORT: port }),
    ...(host === undefined ? {} : { PYLON_HOST: host }),
  };
}

/** Whether a server on this host can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host);
}

/** The URLs at which other machines reach a server on this host. */
export function networkUrls(host: string, port: number): string[] {
  if (isLoopback(host)) return [];
  const addresses = /^(0\.0\.0\.0|::)$/.test(host)
    ? Object.values(networkInterfaces())
        .flatMap((list) => list ?? [])
        .filter(({ family, internal }) => family === "IPv4" && !internal)
        .map(({ address }) => address)
    : [host];
  return addresses.map((address) => `http://${inUrl(address)}:${port}`);
}

function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
