import { isRecord } from "../../util/is-record.ts";
import { at, textAt } from "./json-path.ts";

/**
 * Converts a token response to the format of RFC 6749: providers omit the type, return scopes as a
 * list, or send no content type. Id_tokens of providers whose id_token is not validated are
 * dropped, so that nothing can come to rely on them.
 */
export async function toStandardAnswer(
  response: Response,
  keepsIdToken: boolean,
): Promise<Response> {
  const body: unknown = await response.json().catch(() => null);
  if (!isRecord(body)) return new Response(null, { status: 502 });
  const { id_token: idToken, scope, ...rest } = body;
  const standard = {
    token_type: "bearer",
    ...rest,
    ...(typeof scope === "string" ? { scope } : {}),
    ...(keepsIdToken && idToken !== undefined ? { id_token: idToken } : {}),
  };
  // GitHub returns errors with status 200.
  const status =
    response.ok && "error" in rest && !("access_token" in rest) ? 400 : response.status;
  return new Response(JSON.stringify(standard), {
    status,
    headers: { "Content-Type": "application/json" },
  });
}

/**
 * Returns the tenant that an id_token claims. It is trusted only because the issuer that is built
 * from it is checked against the signed token.
 */
export async function tenantOf(response: Response): Promise<string> {
  const idToken = textAt(await response.clone().json(), "id_token")?.split(".")[1] ?? "";
  let claims: unknown = null;
  try {
    claims = JSON.parse(Buffer.from(idToken, "base64url").toString());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const tenant = at(claims, "tid");
  return typeof tenant === "string" && /^[\da-f-]{36}$/i.test(tenant) ? tenant : "";
}
