import type { Encryption } from "./encryption.ts";
import type { TrustedOrigins } from "./trusted-origins.ts";

/** The settings that all parts of authentication share. */
export interface AuthSettings {
  readonly dev: boolean;
  readonly appName: () => string;
  /** Milliseconds. */
  readonly sessionLifetimeMs: () => number;
  /** Whether the server serves its own pages under /auth. */
  readonly hasPages: () => boolean;
  readonly origins: TrustedOrigins;
  readonly encryption: Encryption;
}
