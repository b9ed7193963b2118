import type { ClientAuth } from "oauth4webapi";
import type { OAuthSecret } from "../../config/oauth-variables.ts";

const APPLE = "https://appleid.apple.com";
const LIFETIME_S = 300;

/**
 * Returns the secret that the client sends to the provider: the shared secret, or for Apple a token
 * that is signed with its private key and valid for a few minutes.
 */
export function clientSecret(secret: OAuthSecret, clientId: string, now: number): string {
  if (secret.kind === "shared") return secret.value;
  const issuedAt = Math.floor(now / 1000);
  const header = { alg: "ES256", kid: secret.keyId };
  const claims = {
    iss: secret.teamId,
    sub: clientId,
    aud: APPLE,
    iat: issuedAt,
    exp: issuedAt + LIFETIME_S,
  };
  const signed = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const { sign } = process.getBuiltinModule("node:crypto");
  const signature = sign("sha256", Buffer.from(signed), {
    key: secret.privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return `${signed}.${signature.toString("base64url")}`;
}

/**
 * Sends the secret by HTTP Basic. It is form-encoded as RFC 6749 requires, and no further than
 * that: the library also encodes `-`, `_` and `.`, which occur in most ids and secrets, and
 * providers that decode nothing would not recognize them.
 */
export function basicAuth(secret: string): ClientAuth {
  return (_server, client, _body, headers) => {
    const shown = [client.client_id, secret]
      .map((part) => new URLSearchParams({ "": part }).toString().slice(1))
      .join(":");
    headers.set("Authorization", `Basic ${btoa(shown)}`);
  };
}
