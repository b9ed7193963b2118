import { newToken } from "../auth/security/secrets.ts";
import type { Config } from "../config/config.ts";
import type { Platform } from "../platform.ts";

/** Whether a server has Studio, and how its page becomes the admin. */
export interface StudioAccess {
  readonly isServed: boolean;
  /**
   * In dev mode: an admin token of this server alone, which Studio gets on the developer's machine.
   * PYLON_ADMIN_TOKEN is never handed out. Null outside of dev mode: there Studio asks for
   * PYLON_ADMIN_TOKEN.
   */
  readonly devToken: string | null;
}

/** Decides about Studio. Without an admin token nobody could use it, so it is not served. */
export function studioAccess(
  { studio, dev, adminToken }: Pick<Config, "studio" | "dev" | "adminToken">,
  platform: Platform,
): StudioAccess {
  return {
    isServed: studio && (dev || adminToken !== null),
    devToken: studio && dev ? newToken(platform) : null,
  };
}
