import type * as Online from "../engine/online.ts";
import { unreachable } from "./errors.ts";

/**
 * Loads the networking code: a page without it can't use the network.
 *
 * @throws PylonClientError `UNREACHABLE`
 */
export async function loadOnline(): Promise<typeof Online> {
  try {
    return await import("../engine/online.ts");
  } catch (cause) {
    throw unreachable(cause);
  }
}
