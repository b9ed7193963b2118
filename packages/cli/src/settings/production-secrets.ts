import { randomBytes } from "node:crypto";

const BYTES = 32;

/**
 * The secrets that are nothing but random, with what each is for. Others, such as a provider's key,
 * come from somebody else.
 */
export const GENERATED_SECRETS: Readonly<Record<string, string>> = {
  PYLON_ADMIN_TOKEN: "gives admin access: metrics, logs, export",
  PYLON_SSO_ENCRYPTION_KEY: "encrypts seeds of authenticator apps and tokens of OAuth providers",
  PYLON_JWT_SECRET: "signs the tokens of /api/auth/jwt",
};

/** Those that every app in production needs. */
export const NEEDED_SECRETS = ["PYLON_ADMIN_TOKEN", "PYLON_SSO_ENCRYPTION_KEY"] as const;

/** 256 bits that nobody can guess, in characters that no file, URL or shell has to quote. */
export function randomSecret(): string {
  return randomBytes(BYTES).toString("hex");
}

/**
 * `PYLON_ADMIN_TOKEN` as SST names secrets: `PylonAdminToken`, as infra/parameters.ts looks for it.
 */
export function sstSecretName(variable: string): string {
  return variable
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

/** The variable that a secret of SST is for; one that is not named as ours are stays as it is. */
export function variableOfSst(secret: string): string {
  const variable = secret.replaceAll(/(?<=.)([A-Z])/g, "_$1").toUpperCase();
  return sstSecretName(variable) === secret ? variable : secret;
}
