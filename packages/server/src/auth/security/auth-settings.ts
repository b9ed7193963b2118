import type { Encryption } from "./encryption.ts";
import type { TrustedOrigins } from "./trusted-origins.ts";

/** What every part of auth goes by. */
export interface AuthSettings {
  readonly dev: boolean;
  readonly appName: () => string;
  /** Milliseconds. */
  readonly sessionLifetimeMs: () => number;
  /** The server shows its own pages under /auth. */
  readonly hasPages: () => boolean;
  readonly origins: TrustedOrigins;
  readonly encryption: Encryption;
}
