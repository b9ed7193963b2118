import { sign } from "node:crypto";
import type { OAuthSecret } from "../../config/oauth-variables.ts";

const APPLE = "https://appleid.apple.com";
const LIFETIME_S = 300;

/** What the client shows to the provider: the shared secret, or for Apple a token that its private key signs for a few minutes. */
export function clientSecret(secret: OAuthSecret, clientId: string, now: number): string {
  if (secret.kind === "shared") return secret.value;
  const issuedAt = Math.floor(now / 1000);
  const header = { alg: "ES256", kid: secret.keyId };
  const claims = { iss: secret.teamId, sub: clientId, aud: APPLE, iat: issuedAt, exp: issuedAt + LIFETIME_S };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(signed), { key: secret.privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
