import { randomBytes } from "node:crypto";

const BYTES = 32;

/**
 * The secrets that are purely random, with their purposes. Others, such as a provider's key, are
 * issued by a third party.
 */
export const GENERATED_SECRETS: Readonly<Record<string, string>> = {
  PYLON_ADMIN_TOKEN: "gives admin access: metrics, logs, export",
  PYLON_SSO_ENCRYPTION_KEY: "encrypts seeds of authenticator apps and tokens of OAuth providers",
  PYLON_JWT_SECRET: "signs the tokens of /api/auth/jwt",
};

/** The secrets that every app in production needs. */
export const NEEDED_SECRETS = ["PYLON_ADMIN_TOKEN", "PYLON_SSO_ENCRYPTION_KEY"] as const;

/** 256 random bits, in characters that no file, URL or shell has to quote. */
export function randomSecret(): string {
  return randomBytes(BYTES).toString("hex");
}

/**
 * Converts `PYLON_ADMIN_TOKEN` to the name of the secret in SST: `PylonAdminToken`, for which
 * infra/parameters.ts looks.
 */
export function sstSecretName(variable: string): string {
  return variable
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

/** The variable of a secret of SST; a name without Pylon's prefix is unchanged. */
export function variableOfSst(secret: string): string {
  const variable = secret.replaceAll(/(?<=.)([A-Z])/g, "_$1").toUpperCase();
  return sstSecretName(variable) === secret ? variable : secret;
}
