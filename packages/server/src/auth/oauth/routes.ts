import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../../request/context.ts";
import { json, JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import {
  redirectFailure,
  redirection,
  refuseHead,
  SECOND_FACTOR_COOKIE,
} from "../sign-in/browser-redirects.ts";
import { isFresh, requireOwner } from "../sign-in/fresh-sign-in.ts";
import { AuthInput } from "../security/input.ts";
import { ownUser } from "../users/own-user.ts";
import { signedInAnswer } from "../sessions/signed-in.ts";
import { accountRoutes } from "./account-routes.ts";
import { readCallback } from "./callback-params.ts";
import type { LoginState } from "./login-state.ts";
import type { OAuthServices, Targets } from "./oauth.ts";

/** The routes of sign-in with OAuth providers, and of the accounts that a user has there. */
export function oauthRoutes(services: OAuthServices): Route[] {
  const { get, post } = routeTable(services);
  return [
    get("/api/auth/providers", "anyone", providers),
    get("/api/auth/login/:provider", "anyone", login),
    post("/api/auth/oauth/link/:provider", "signed-in", link),
    get("/api/auth/callback/:provider", "anyone", callback),
    post("/api/auth/callback/:provider", "anyone", callback, { acceptsCrossOriginForms: true }),
    post("/api/auth/oauth/pending", "anyone", pending),
    ...accountRoutes(services),
  ];
}

function providers({ oauth, settings }: OAuthServices, { request }: RequestContext): Answer {
  return json(
    oauth.names.map((provider) => ({
      provider,
      auth_url: `${settings.origins.publicUrl(request)}/api/auth/login/${provider}`,
    })),
  );
}

/** @throws PylonError INVALID_REDIRECT */
function targetsOf(
  { settings }: OAuthServices,
  { request }: RequestContext,
  callback: string | null,
  errorCallback: string | null,
): Targets {
  const target = settings.origins.redirectTarget(request, callback ?? "/");
  return {
    callback: target,
    errorCallback:
      errorCallback === null
        ? target
        : settings.origins.redirectTarget(request, errorCallback, "error_callback"),
  };
}

async function login(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const { oauth } = services;
  const provider = context.param("provider");
  oauth.check(provider);
  const wantsRedirect = isOn(context, "redirect");
  const targets = targetsOf(
    services,
    context,
    context.query("callback"),
    context.query("error_callback"),
  );
  try {
    const {
      redirect,
      state,
      cookie: binding,
    } = await oauth.begin(
      context,
      provider,
      targets,
      isUserInitiated(context) && (await isFresh(services, context)) ? "implied" : null,
    );
    if (wantsRedirect) return redirection(redirect, [binding]);
    return new JsonAnswer({ redirect, state }, 200, {
      "Set-Cookie": [binding],
      "Cache-Control": "no-store",
    });
  } catch (error) {
    if (wantsRedirect) return failed(services, context, { ...targets, provider }, error);
    throw error;
  }
}

async function link(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const { oauth } = services;
  if (context.identity.sessionId === null || context.caller.isGuest)
    throw new PylonError("AUTH_REQUIRED", "Only a signed-in user may link an account.");
  const input = await AuthInput.of(context);
  await requireOwner(services, context, input, await ownUser(services, context));
  const targets = targetsOf(
    services,
    context,
    input.optionalText("callback") ?? null,
    input.optionalText("error_callback") ?? null,
  );
  const {
    redirect,
    state,
    cookie: binding,
  } = await oauth.begin(context, context.param("provider"), targets, "asked");
  return new JsonAnswer({ redirect, state }, 200, {
    "Set-Cookie": [binding],
    "Cache-Control": "no-store",
  });
}

async function callback(services: OAuthServices, context: RequestContext): Promise<Answer> {
  const { oauth } = services;
  refuseHead(context);
  const provider = context.param("provider");
  oauth.check(provider);
  const { params, isBrowser } = await readCallback(context);
  const state = await oauth.consumeState(context.request, provider, params.state);
  try {
    const signedIn = await services.outcomes.of(() => oauth.finish(context, state, params));
    if (isBrowser) return redirection(state.callback, signedIn?.cookies ?? []);
    return signedIn === null ? json({ linked: true, provider }) : signedInAnswer(signedIn);
  } catch (error) {
    if (isBrowser) return failed(services, context, state, error);
    throw error;
  }
}

function failed(
  services: OAuthServices,
  context: RequestContext,
  { errorCallback, provider }: Pick<LoginState, "errorCallback" | "provider">,
  error: unknown,
): Promise<Answer> {
  return redirectFailure(services, context, {
    target: errorCallback,
    method: `oauth:${provider}`,
    error,
  });
}

/** Gives the page the sign-in that waits for a second factor, once. */
async function pending(
  { cookie, signIn }: OAuthServices,
  { request }: RequestContext,
): Promise<Answer> {
  const token = cookie.readOther(request.headers, SECOND_FACTOR_COOKIE);
  const userId = token === null ? null : await signIn.pendingUser(token);
  if (userId === null)
    throw new PylonError(
      "INVALID_TOKEN",
      "No sign-in in this browser is waiting for a second factor.",
      {
        hint: "Sign in again.",
      },
    );
  const methods = await signIn.secondFactor.methodsOf(userId);
  return new JsonAnswer({ mfa_token: token, methods }, 200, {
    "Set-Cookie": [cookie.other(SECOND_FACTOR_COOKIE, "", 0)],
    "Cache-Control": "no-store",
  });
}

/** @throws PylonError INVALID_DATA */
function isOn(context: RequestContext, name: string): boolean {
  const value = context.query(name);
  if (value === null || value === "0" || value === "false") return false;
  if (value === "1" || value === "true") return true;
  throw new PylonError("INVALID_DATA", `"${name}" is 1 or 0.`, { field: name });
}

/**
 * Whether a signed-in user starts a sign-in to add an account. This is not the case if another
 * site's page sent the browser here.
 */
function isUserInitiated({ identity, caller, request }: RequestContext): boolean {
  return (
    identity.sessionId !== null &&
    !caller.isGuest &&
    request.headers.get("sec-fetch-site") !== "cross-site"
  );
}
