import { flag, hosts, origin, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of how the server runs, and where it listens. */
export const SERVER_VARIABLES = {
  PYLON_DEV_MODE: variable({
    wants: "1 or 0",
    doc:
      "Development mode: the server listens on this machine only, pages of this machine may " +
      "call it from any port, limits are generous, and entities without a policy are open. " +
      "`pylon dev` sets it.",
    fallback: false,
    parse: flag,
  }),
  PYLON_DEV_HOSTS: variable<string[]>({
    wants: "hosts such as dev.example.com, or .example.com for all below it, separated by commas",
    doc:
      "Host names accepted in dev mode, in addition to localhost, addresses of this machine and " +
      "of the local network, and the host of PYLON_PUBLIC_URL. Requests for other hosts are " +
      "rejected with `HOST_REJECTED`: dev mode is open to everyone who can reach it, and a " +
      "malicious web page can point its own host name at this server (DNS rebinding).",
    fallback: [],
    parse: hosts,
  }),
  PYLON_HOST: variable({
    wants: "an address",
    doc:
      "The address to listen on, for all ports. In a container, dev mode needs `0.0.0.0`; it is " +
      "then open to everyone who can reach it.",
    fallback: "0.0.0.0",
    devFallback: "127.0.0.1",
    parse: text,
  }),
  PYLON_PORT: variable({
    wants: "a port from 0 to 65532",
    doc: "The port for all traffic; 0 selects a free port.",
    fallback: 4321,
    parse: whole(0, 65_532),
  }),
  PYLON_ADVERTISE_URL: variable<string | undefined>({
    wants: "an origin such as http://10.0.0.5:4321",
    doc:
      "The URL at which other replicas reach this one, for clients of the shards that it runs. " +
      "Default: the first address of the machine, with PYLON_PORT.",
    fallback: undefined,
    parse: origin,
  }),
  PYLON_STUDIO: variable({
    wants: "1 or 0",
    doc:
      "Whether `/studio` serves [Studio](studio.md), the page for rows, functions, jobs and " +
      "logs. Outside of dev mode, it is only served if PYLON_ADMIN_TOKEN is set, which it asks " +
      "for.",
    fallback: true,
    parse: flag,
  }),
  PYLON_SINGLE_PORT: variable({
    wants: "1 or 0",
    doc:
      "Disables the ports +1 (WebSocket), +2 (event stream) and +3 (shards), which older " +
      "clients use.",
    fallback: false,
    parse: flag,
  }),
} as const;
