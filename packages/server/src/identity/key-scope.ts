import { PylonError } from "@pylonsync/protocol";
import type { Caller } from "./identity.ts";

/** The kind of a route, for the scopes of API keys. `open`: needs no scope. */
export type RouteScope = "read" | "write" | "functions" | "files" | "open";

/** The possible scopes of a key: a whole kind, or that of one function or entity. */
const SCOPES = [
  /^(?:read|write|functions|files)$/,
  /^functions:[A-Za-z0-9_./-]{1,128}$/,
  /^entities:[A-Za-z0-9_]{1,128}:(?:read|write)$/,
];

/** Whether the text is a scope. */
export function isScope(text: string): boolean {
  return SCOPES.some((scope) => scope.test(text));
}

/** Whether a caller's API key, if it uses one, has the scope; a key without scopes has all. */
export function coversKeyScope(
  { apiKeyId, apiKeyScopes }: Caller,
  ...scopes: readonly string[]
): boolean {
  return (
    apiKeyId === null ||
    apiKeyScopes.length === 0 ||
    scopes.some((scope) => apiKeyScopes.includes(scope))
  );
}

/**
 * Rejects an API key whose scopes do not include the route. A key without scopes may do what its
 * owner may; but no key manages accounts, so a route without a scope is closed to all keys.
 *
 * @param params of the path: `entity` and `name` narrow the required scope
 * @throws PylonError INSUFFICIENT_SCOPE
 */
export function checkKeyScope(
  caller: Caller,
  scope: RouteScope | undefined,
  params: Readonly<Record<string, string>> = {},
): void {
  if (caller.apiKeyId === null || scope === "open") return;
  if (scope === undefined)
    throw new PylonError("INSUFFICIENT_SCOPE", "API keys may not do this.", { hint: "Sign in." });
  const { entity, name } = params;
  const wanted = [
    scope,
    ...((scope === "read" || scope === "write") && entity !== undefined
      ? [`entities:${entity}:${scope}`]
      : []),
    ...(scope === "functions" && name !== undefined ? [`functions:${name}`] : []),
  ];
  if (coversKeyScope(caller, ...wanted)) return;
  const scopes = wanted.map((candidate) => `"${candidate}"`).join(" or ");
  throw new PylonError("INSUFFICIENT_SCOPE", `This API key does not have the scope ${scopes}.`, {
    hint: "Create a key with this scope.",
  });
}
