import type { RequestContext } from "../../request/context.ts";
import type { Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { tokenPurpose } from "../security/one-time-tokens.ts";
import { redirection } from "../sign-in/browser-redirects.ts";
import { ownUser } from "../users/own-user.ts";
import { requireRedirectUri, type McpClient, type McpClients } from "./clients.ts";
import { consentFailurePage, consentPage } from "./consent-page.ts";
import type { Consent, McpGrants } from "./grants.ts";
import { checkChallenge, checkResource, OAuthError, OAuthParams, scopesOf } from "./protocol.ts";

/** The parts of the server that the access of MCP clients depends on. */
export interface McpOAuthServices extends AuthServices {
  readonly clients: McpClients;
  readonly grants: McpGrants;
}

/** A consent page that waits for the user's decision. */
interface PendingConsent extends Consent {
  readonly state: string | null;
  /** The URL of this server (RFC 9207). */
  readonly issuer: string;
  readonly clientName: string;
}

const PENDING = tokenPurpose<PendingConsent>("mcp consent");
const PENDING_MS = 10 * 60_000;
const PAGES_PER_USER = { max: 60, windowSeconds: 15 * 60 };

/** The routes of the page on which a user gives a client access to `/mcp`. */
export function authorizeRoutes(services: McpOAuthServices): Route[] {
  const { get, post } = routeTable(services);
  return [
    get("/auth/authorize", "anyone", (own, context) => failing(own, () => ask(own, context))),
    post("/auth/authorize", "anyone", (own, context) => failing(own, () => decide(own, context))),
  ];
}

/**
 * Shows an error to the user. Errors are never sent to the redirect URI: anybody can register one,
 * so a link to this server could redirect to any site.
 */
async function failing(
  { settings }: McpOAuthServices,
  work: () => Promise<Response>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    return consentFailurePage(settings.appName(), `${error.message} (${error.code})`, 400);
  }
}

async function ask(services: McpOAuthServices, context: RequestContext): Promise<Response> {
  const { attempts, clients, grants, settings, tokens } = services;
  const { request, identity, caller, target } = context;
  const [path = "", ...query] = target.split("?");
  const params = new OAuthParams(query.join("?"));
  const client = await clients.get(params.text("client_id"));
  const asked = askedOf(params, client, grants.resourceOf(request));
  const { sessionId } = identity;
  if (caller.userId === null || caller.isGuest || sessionId === null) {
    if (settings.hasPages())
      return redirection(
        `/auth/sign-in?redirect=${encodeURIComponent(`${path}?${query.join("?")}`)}`,
        [],
      );
    const message = "Sign in to the app in this browser, then open this address again.";
    return consentFailurePage(settings.appName(), message, 401);
  }
  const { userId } = caller;
  const { email } = await ownUser(services, context);
  await attempts.count("mcp consent", userId, PAGES_PER_USER);
  const pending: PendingConsent = {
    ...asked,
    userId,
    sessionId,
    issuer: grants.issuerOf(request),
    clientName: client.name,
  };
  return consentPage({
    appName: settings.appName(),
    clientName: client.name,
    redirectUri: asked.redirectUri,
    scopes: asked.scopes,
    user: typeof email === "string" ? email : userId,
    token: await tokens.issue(PENDING, pending, PENDING_MS),
  });
}

/** @throws OAuthError if a parameter is missing or not valid */
function askedOf(
  params: OAuthParams,
  client: McpClient,
  resource: string,
): Omit<PendingConsent, "userId" | "sessionId" | "issuer" | "clientName"> {
  const redirectUri = params.text("redirect_uri");
  requireRedirectUri(client, redirectUri);
  if (params.text("response_type") !== "code")
    throw new OAuthError("unsupported_response_type", "response_type must be code.");
  const challenge = params.text("code_challenge");
  checkChallenge(challenge, params.optional("code_challenge_method"));
  checkResource(params.optional("resource"), resource);
  const scopes = scopesOf(params.optional("scope"));
  const state = params.optional("state");
  return { clientId: client.id, redirectUri, challenge, resource, scopes, state };
}

async function decide(services: McpOAuthServices, context: RequestContext): Promise<Response> {
  const { audit, grants, tokens } = services;
  const params = await OAuthParams.ofForm(context);
  const decision = params.text("decision");
  const pending = await tokens.take(PENDING, params.text("token"));
  // The token belongs to the session that opened the page: another site can't know it, and the
  // token of another user's page is rejected.
  if (pending === null || pending.sessionId !== context.identity.sessionId)
    throw new OAuthError(
      "invalid_request",
      "This page has expired. Start to connect the client again.",
    );
  const { clientName, issuer, redirectUri, state, ...consent } = pending;
  const url = new URL(redirectUri);
  if (state !== null) url.searchParams.set("state", state);
  url.searchParams.set("iss", issuer);
  if (decision === "allow") {
    url.searchParams.set("code", await grants.issueCode({ ...consent, redirectUri }));
    await audit.record(context, "mcp.allowed", {
      detail: { client: clientName, redirect: url.host, scopes: consent.scopes.join(" ") },
    });
  } else url.searchParams.set("error", "access_denied");
  return redirection(url.href, [], 303);
}
