import { flag, hosts, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** How the server runs, and where it listens. */
export const SERVER_VARIABLES = {
  PYLON_DEV_MODE: variable({
    wants: "1 or 0",
    doc:
      "Development mode: it listens on this machine alone, pages of this machine may call at any " +
      "port, limits are generous, entities without a policy are open. `pylon dev` sets it.",
    fallback: false,
    parse: flag,
  }),
  PYLON_DEV_HOSTS: variable<string[]>({
    wants: "hosts such as dev.example.com, or .example.com for all below it, separated by commas",
    doc:
      "Hosts that dev mode answers at, beside localhost, addresses of this machine and of the " +
      "local network, and the host of PYLON_PUBLIC_URL. Others are refused with `HOST_REJECTED`: " +
      "dev mode is open to everyone who reaches it, and a web page can have a name of its own " +
      "lead here.",
    fallback: [],
    parse: hosts,
  }),
  PYLON_HOST: variable({
    wants: "an address",
    doc:
      "The address to listen on, at every port. Dev mode is open to everyone who reaches it; in " +
      "a container it needs `0.0.0.0`.",
    fallback: "0.0.0.0",
    devFallback: "127.0.0.1",
    parse: text,
  }),
  PYLON_PORT: variable({
    wants: "a port from 0 to 65532",
    doc: "The port. Everything is on it; 0 takes a free one.",
    fallback: 4321,
    parse: whole(0, 65_532),
  }),
  PYLON_SINGLE_PORT: variable({
    wants: "1 or 0",
    doc:
      "Leaves out the ports +1 (WebSocket), +2 (event stream) and +3 (shards), which older " +
      "clients use.",
    fallback: false,
    parse: flag,
  }),
} as const;
