import type { OAuthMetadata } from "@modelcontextprotocol/sdk/shared/auth.js";
import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import { ownUser } from "../users/own-user.ts";
import type { McpOAuthServices } from "./authorize-routes.ts";
import { DEFAULT_SCOPES, forOAuthClients, OAuthError, OAuthParams, uncached } from "./protocol.ts";

const BASE = "/api/auth/mcp";
const RESOURCE_METADATA = "/.well-known/oauth-protected-resource";
const REGISTRATIONS = { max: 20, windowSeconds: 60 * 60 };

/** The routes that MCP clients call, and those with which users list and end their grants. */
export function tokenRoutes(services: McpOAuthServices): Route[] {
  const { get, post, del } = routeTable(services);
  // Clients have no session here, and a browser's cookie must be ignored.
  const forClients = { scope: "open", isAnonymous: true } as const;
  return [
    get(RESOURCE_METADATA, "anyone", resourceMetadata, forClients),
    get(`${RESOURCE_METADATA}/mcp`, "anyone", resourceMetadata, forClients),
    get("/.well-known/oauth-authorization-server", "anyone", serverMetadata, forClients),
    post(`${BASE}/register`, "anyone", forOAuthClients(register), forClients),
    post(`${BASE}/token`, "anyone", forOAuthClients(issue), forClients),
    post(`${BASE}/revoke`, "anyone", forOAuthClients(revoke), forClients),
    get(`${BASE}/grants`, "signed-in", list),
    del(`${BASE}/grants/:id`, "signed-in", remove),
  ];
}

/**
 * Returns the `WWW-Authenticate` header of `/mcp`, which tells a client how to get a token (RFC
 * 9728).
 */
export function challengeOf(
  { grants }: Pick<McpOAuthServices, "grants">,
  request: Request,
  isInvalid: boolean,
): string {
  let issuer: string;
  try {
    issuer = grants.issuerOf(request);
  } catch (error) {
    // Without a configured URL, the server accepts only session tokens and API keys.
    if (error instanceof PylonError) return "Bearer";
    throw error;
  }
  return [
    `Bearer resource_metadata="${issuer}${RESOURCE_METADATA}/mcp"`,
    `scope="${DEFAULT_SCOPES.join(" ")}"`,
    ...(isInvalid ? ['error="invalid_token"'] : []),
  ].join(", ");
}

function resourceMetadata(
  { grants, settings }: McpOAuthServices,
  { request }: RequestContext,
): Answer {
  return json({
    resource: grants.resourceOf(request),
    authorization_servers: [grants.issuerOf(request)],
    scopes_supported: DEFAULT_SCOPES,
    bearer_methods_supported: ["header"],
    resource_name: settings.appName(),
  });
}

function serverMetadata({ grants }: McpOAuthServices, { request }: RequestContext): Answer {
  const issuer = grants.issuerOf(request);
  return json({
    issuer,
    authorization_endpoint: `${issuer}/auth/authorize`,
    token_endpoint: `${issuer}${BASE}/token`,
    registration_endpoint: `${issuer}${BASE}/register`,
    revocation_endpoint: `${issuer}${BASE}/revoke`,
    scopes_supported: [...DEFAULT_SCOPES],
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "refresh_token"],
    token_endpoint_auth_methods_supported: ["none"],
    revocation_endpoint_auth_methods_supported: ["none"],
    code_challenge_methods_supported: ["S256"],
    authorization_response_iss_parameter_supported: true,
  } satisfies OAuthMetadata);
}

async function register(
  { attempts, clients, grants }: McpOAuthServices,
  context: RequestContext,
): Promise<Answer> {
  grants.issuerOf(context.request);
  const metadata = await context.json();
  await attempts.countFrom("mcp client", context.address, REGISTRATIONS);
  const { id, name, redirectUris, createdAt } = await clients.register(metadata);
  return uncached(
    {
      client_id: id,
      client_id_issued_at: Math.floor(createdAt / 1000),
      client_name: name,
      redirect_uris: redirectUris,
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    201,
  );
}

async function issue(
  { clients, grants }: McpOAuthServices,
  context: RequestContext,
): Promise<Answer> {
  const params = await OAuthParams.ofForm(context);
  const clientId = params.text("client_id");
  await clients.get(clientId);
  const resource = params.optional("resource");
  switch (params.text("grant_type")) {
    case "authorization_code":
      return uncached(
        await grants.exchange({
          code: params.text("code"),
          clientId,
          verifier: params.text("code_verifier"),
          redirectUri: params.optional("redirect_uri"),
          resource,
        }),
      );
    case "refresh_token":
      return uncached(await grants.refresh(params.text("refresh_token"), clientId, resource));
    default:
      throw new OAuthError(
        "unsupported_grant_type",
        "grant_type must be authorization_code or refresh_token.",
      );
  }
}

async function revoke({ grants }: McpOAuthServices, context: RequestContext): Promise<Answer> {
  const params = await OAuthParams.ofForm(context);
  await grants.revoke(params.text("token"), params.text("client_id"));
  // RFC 7009: an unknown token counts as revoked.
  return uncached({});
}

async function list(services: McpOAuthServices, context: RequestContext): Promise<Answer> {
  return json(await services.grants.list((await ownUser(services, context)).id));
}

async function remove(services: McpOAuthServices, context: RequestContext): Promise<Answer> {
  const { audit, grants } = services;
  const user = await ownUser(services, context);
  const id = context.param("id");
  if (!(await grants.end(user.id, id)))
    throw new PylonError("NOT_FOUND", "You have not given such access.", {
      hint: `GET ${BASE}/grants lists the access that you have given.`,
    });
  await audit.record(context, "mcp.revoked", { detail: { id } });
  return json({ revoked: true });
}
