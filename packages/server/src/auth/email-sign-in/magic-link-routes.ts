import { PylonError } from "@pylonsync/protocol";
import { ANONYMOUS_IDENTITY } from "../../identity/identity.ts";
import { parseJson } from "../../request/body.ts";
import { RequestContext } from "../../request/context.ts";
import { JsonAnswer, type Answer } from "../../request/responses.ts";
import type { Route } from "../../request/route.ts";
import { routeTable } from "../../request/route-table.ts";
import type { AuthServices } from "../auth-services.ts";
import { redirectFailure, redirection, refuseHead } from "../sign-in/browser-redirects.ts";
import { enterByEmail } from "./by-email.ts";
import { isRecord } from "../../util/is-record.ts";
import { AuthInput } from "../security/input.ts";
import { tokenPurpose } from "../security/one-time-tokens.ts";
import { linkPage } from "../pages/link-page.ts";
import { hashOf, isSameHash, newToken } from "../security/secrets.ts";

const PER_ADDRESS = { max: 50, windowSeconds: 15 * 60 };
const PER_EMAIL = { max: 3, windowSeconds: 10 * 60 };
const MINUTES = 15;
const LIFETIME_MS = MINUTES * 60_000;
const COOKIE = "link";

interface LinkData {
  readonly email: string;
  /** Absolute URLs that are known to be trusted. */
  readonly callback: string;
  readonly errorCallback: string;
  /** The hash of the cookie of the browser that requested the link. */
  readonly browser: string;
  /** The id of the session that requested the link. */
  readonly sessionId: string | null;
}

const PURPOSE = tokenPurpose<LinkData>("magic link");

/**
 * Sign-in by a mailed link. The browser that requested it is signed in immediately. Any other
 * browser is asked to confirm first: somebody else may have sent the link, so that its user works
 * under the sender's account, or to get the data of its guest.
 */
export function magicLinkRoutes(services: AuthServices): Route[] {
  const { get, post } = routeTable(services);

  return [
    post("/api/auth/magic-link/send", "anyone", send),
    get("/api/auth/magic-link/verify", "anyone", open),
    post("/api/auth/magic-link/verify", "anyone", confirm),
  ];
}

async function send(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, cookie, mails, platform, settings, tokens } = services;
  const { request, identity } = context;
  const input = await AuthInput.of(context);
  const email = input.email();
  mails.require();
  const mailedUrl = settings.origins.mailedUrl(request);
  const callback = settings.origins.redirectTarget(request, input.optionalText("callback") ?? "/");
  const failed = input.optionalText("error_callback");
  const errorCallback =
    failed === undefined
      ? secondFactorPage(services, mailedUrl, callback)
      : settings.origins.redirectTarget(request, failed, "error_callback");
  await attempts.countFrom("mail by address", context.address, PER_ADDRESS);
  await attempts.count("link", email, PER_EMAIL);
  const browser = newToken(platform);
  const data: LinkData = {
    email,
    callback,
    errorCallback,
    browser: hashOf(browser),
    sessionId: identity.sessionId,
  };
  const linkOf = (token: string): string =>
    `${mailedUrl}/api/auth/magic-link/verify?token=${token}`;
  const token = await tokens.issue(PURPOSE, data, LIFETIME_MS, (tx, issued) =>
    mails.add(tx, "magic-link", email, { link: linkOf(issued), minutes: MINUTES }),
  );
  mails.wake();
  return new JsonAnswer(
    { sent: true, email, ...(settings.dev ? { dev_link: linkOf(token) } : {}) },
    200,
    {
      "Set-Cookie": [cookie.other(COOKIE, browser, LIFETIME_MS)],
    },
  );
}

/**
 * Where the user enters a second factor: the server's own page can do that, and then redirects to
 * the link's target.
 */
function secondFactorPage({ settings }: AuthServices, publicUrl: string, callback: string): string {
  return settings.hasPages()
    ? `${publicUrl}/auth/sign-in?redirect=${encodeURIComponent(callback)}`
    : callback;
}

async function open(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, settings, tokens } = services;
  refuseHead(context);
  await attempts.countFrom("link by address", context.address, PER_ADDRESS);
  const token = context.query("token") ?? "";
  const data = await tokens.peek(PURPOSE, token);
  if (data === null) throw invalidLink();
  if (isRequester(services, context, data)) return follow(services, context, token, 302);
  return linkPage({
    appName: settings.appName(),
    email: data.email,
    token,
    callback: data.callback,
  });
}

/** Handles the page's button. The data of a guest in this browser remains the guest's. */
async function confirm(services: AuthServices, context: RequestContext): Promise<Answer> {
  const { attempts, tokens } = services;
  const text = await context.text();
  const token =
    context.request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded") ===
    true
      ? new URLSearchParams(text).get("token")
      : tokenOf(parseJson(text));
  await attempts.countFrom("link by address", context.address, PER_ADDRESS);
  const data = await tokens.peek(PURPOSE, token ?? "");
  if (data === null || token === null) throw invalidLink();
  const { request, params, requestId } = context;
  const as = isRequester(services, context, data)
    ? context
    : new RequestContext(request, params, ANONYMOUS_IDENTITY, () => context.address, requestId);
  return follow(services, as, token, 303);
}

async function follow(
  services: AuthServices,
  context: RequestContext,
  token: string,
  status: 302 | 303,
): Promise<Response> {
  const { cookie, outcomes, tokens } = services;
  // Once the link is used up, the browser is redirected to its target, whatever happens next.
  const used: { link: LinkData | null } = { link: null };
  try {
    return await outcomes.of(async () => {
      const link = await tokens.take(PURPOSE, token);
      if (link === null) throw invalidLink();
      used.link = link;
      const { cookies } = await enterByEmail(services, context, link.email, "link");
      return redirection(link.callback, [...cookies, cookie.other(COOKIE, "", 0)], status);
    });
  } catch (error) {
    if (used.link === null) throw error;
    const failure = { target: used.link.errorCallback, method: "link", error };
    return redirectFailure(services, context, failure, status);
  }
}

function isRequester(
  { cookie }: AuthServices,
  { request, identity }: RequestContext,
  { browser, sessionId }: LinkData,
): boolean {
  const own = cookie.readOther(request.headers, COOKIE);
  return (
    (own !== null && isSameHash(hashOf(own), browser)) ||
    (sessionId !== null && sessionId === identity.sessionId)
  );
}

function tokenOf(body: unknown): string | null {
  const token = isRecord(body) ? body["token"] : undefined;
  return typeof token === "string" ? token : null;
}

function invalidLink(): PylonError {
  return new PylonError("INVALID_TOKEN", "This link has been used or has expired.", {
    field: "token",
    hint: "Request a new link.",
  });
}
