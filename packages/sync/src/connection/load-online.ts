import type * as Online from "../engine/online.ts";
import { inLoadTime } from "../platform/load-code.ts";
import type { Platform } from "../platform/platform.ts";
import { unreachable } from "./errors.ts";

let online: typeof Online | undefined;

/**
 * Loads the networking code: a page without it can't use the network.
 *
 * @throws PylonClientError `UNREACHABLE`
 */
export async function loadOnline(platform: Pick<Platform, "after">): Promise<typeof Online> {
  if (online !== undefined) return online;
  try {
    online = await inLoadTime(platform, import("../engine/online.ts"));
    return online;
  } catch (cause) {
    throw unreachable(cause);
  }
}
