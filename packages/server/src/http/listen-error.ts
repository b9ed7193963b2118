import { PylonStartError } from "../start-error.ts";
import { errorCode } from "../util/errors.ts";
import type { PortPurpose } from "./listener.ts";

/** The purpose of each additional port, as in error messages. */
const EXTRA_PORTS: Readonly<Record<Exclude<PortPurpose, "all">, string>> = {
  websocket: "+ 1, for WebSockets",
  sse: "+ 2, for event streams",
  shards: "+ 3, for shards",
};

/** The error codes for a host that can't be used to listen: an unknown name has ENOENT. */
const BAD_HOST: ReadonlySet<string> = new Set(["EADDRNOTAVAIL", "EINVAL", "ENOENT", "ENOTFOUND"]);

/** Returns the error of a port that can't be opened, as a sentence if the operator can fix it. */
export function listenError(
  error: unknown,
  config: { readonly host: string; readonly port: number },
  purpose: PortPurpose,
  port: number,
): unknown {
  const code = errorCode(error);
  if (code === "EADDRINUSE")
    return new PylonStartError(
      purpose === "all"
        ? `Port ${port} is in use: stop the process that uses it, ` +
            "or choose another port with --port or PYLON_PORT."
        : `Port ${port} is in use: it is the port ${config.port} ${EXTRA_PORTS[purpose]} ` +
            "of older clients. Stop the process that uses it, choose another port with --port or " +
            "PYLON_PORT, or set PYLON_SINGLE_PORT=1 to disable the extra ports.",
    );
  if (code === "EACCES")
    return new PylonStartError(
      `This user may not open port ${port}: choose a port of at least 1024 with --port or ` +
        "PYLON_PORT.",
    );
  if (BAD_HOST.has(code))
    return new PylonStartError(
      `"${config.host}" is not an address of this machine: choose another with --host or ` +
        "PYLON_HOST.",
    );
  return error;
}
