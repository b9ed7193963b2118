import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  UnauthorizedError,
  type OAuthClientProvider,
} from "@modelcontextprotocol/sdk/client/auth.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from "@modelcontextprotocol/sdk/shared/auth.js";

/** Stores what the SDK's client receives, and the URL to which it sends its user. */
export class TestProvider implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata: OAuthClientMetadata;
  information: OAuthClientInformationMixed | undefined;
  saved: OAuthTokens | undefined;
  verifier = "";
  /** The URL at which the user is asked for consent. */
  authorizationUrl: URL | undefined;

  constructor(redirectUrl = "http://127.0.0.1:9/callback", clientName = "Test agent") {
    this.redirectUrl = redirectUrl;
    this.clientMetadata = { redirect_uris: [redirectUrl], client_name: clientName };
  }

  readonly state = (): string => "the-state";
  readonly clientInformation = (): OAuthClientInformationMixed | undefined => this.information;
  readonly saveClientInformation = (given: OAuthClientInformationMixed): void => {
    this.information = given;
  };
  readonly tokens = (): OAuthTokens | undefined => this.saved;
  readonly saveTokens = (tokens: OAuthTokens): void => {
    this.saved = tokens;
  };
  readonly redirectToAuthorization = (url: URL): void => {
    this.authorizationUrl = url;
  };
  readonly saveCodeVerifier = (verifier: string): void => {
    this.verifier = verifier;
  };
  readonly codeVerifier = (): string => this.verifier;
}

/** A browser with the cookie of a user. */
export interface Browser {
  readonly cookie: string;
}

/** Signs a new user up. */
export async function signUp(url: string, email: string): Promise<Browser & { token: string }> {
  const response = await fetch(`${url}/api/auth/password/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password: "a long enough passw0rd" }),
  });
  const { token } = (await response.json()) as { token: string };
  return { token, cookie: cookieOf(response) };
}

/** The session's cookie of a response. */
export function cookieOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((one) => one.split(";")[0])
    .join("; ");
}

/** Opens the page on which the user gives consent. */
export function openConsent(
  { cookie }: Browser,
  authorizationUrl: URL | string,
): Promise<Response> {
  return fetch(authorizationUrl, { headers: { Cookie: cookie }, redirect: "manual" });
}

/** Submits the form of that page. */
export function submitConsent(
  { cookie }: Browser,
  url: string,
  page: string,
  decision: "allow" | "deny" = "allow",
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const token = /name="token" value="([^"]+)"/.exec(page)?.[1] ?? "";
  return fetch(`${url}/auth/authorize`, {
    method: "POST",
    headers: { Cookie: cookie, ...headers },
    body: new URLSearchParams({ token, decision }),
    redirect: "manual",
  });
}

/** Gives consent. @returns the URL with the code to which the browser is redirected */
export async function allow(browser: Browser, provider: TestProvider): Promise<URL> {
  const { authorizationUrl } = provider;
  if (authorizationUrl === undefined) throw new Error("The client sent nobody to agree.");
  const page = await (await openConsent(browser, authorizationUrl)).text();
  const done = await submitConsent(browser, authorizationUrl.origin, page);
  return new URL(done.headers.get("location") ?? "about:blank");
}

/** A transport of the SDK that signs in through the provider. */
export function transportTo(url: string, provider: TestProvider): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL("/mcp", url), { authProvider: provider });
}

/** Connects as far as possible without the user. @returns false if the user must give consent */
export async function begin(url: string, provider: TestProvider): Promise<boolean> {
  const client = new Client({ name: "test", version: "1.0.0" });
  try {
    await client.connect(transportTo(url, provider));
    await client.close();
    return true;
  } catch (error) {
    if (error instanceof UnauthorizedError) return false;
    throw error;
  }
}

/** Connects a client of the SDK for this user, from registration to tokens. */
export async function connectByOAuth(
  url: string,
  browser: Browser,
  provider = new TestProvider(),
): Promise<{ readonly client: Client; readonly provider: TestProvider }> {
  if (await begin(url, provider)) throw new Error("The server did not ask for access.");
  const code = (await allow(browser, provider)).searchParams.get("code") ?? "";
  await transportTo(url, provider).finishAuth(code);
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transportTo(url, provider));
  return { client, provider };
}
