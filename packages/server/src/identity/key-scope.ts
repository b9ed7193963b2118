import { PylonError } from "@pylonsync/protocol";
import type { Caller } from "./identity.ts";

/**
 * What a route does, as far as an API key's scopes tell things apart. `open`: what needs no right
 * at all.
 */
export type RouteScope = "read" | "write" | "functions" | "files" | "open";

/** A scope that a key may have: a whole kind, or that of one function or entity. */
const SCOPES = [
  /^(?:read|write|functions|files)$/,
  /^functions:[A-Za-z0-9_./-]{1,128}$/,
  /^entities:[A-Za-z0-9_]{1,128}:(?:read|write)$/,
];

/** Whether the text names a scope. */
export function isScope(text: string): boolean {
  return SCOPES.some((scope) => scope.test(text));
}

/**
 * Whether a caller's API key, if it calls with one, has the scope; a key without scopes has all.
 */
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
 * Refuses an API key what its scopes do not cover. A key without scopes may do what its owner may;
 * but no key manages accounts, so a route that says nothing is closed to all of them.
 *
 * @param params of the path: `entity` and `name` narrow what is asked for
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
