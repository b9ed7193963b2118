import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, generateKeyPairSync } from "node:crypto";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type CryptoKey } from "jose";
import { createServer, loadConfig, type PylonServer } from "../../index.ts";
import { CATALOGUE, type Endpoints } from "./catalogue.ts";

// Tests every provider that is known by name against a server that requires what its documentation
// requires, and responds in the documented format.

/** What a provider's documentation says, written independently of the catalogue. */
interface Documented {
  /** How the client authenticates with its secret. */
  readonly secret: "basic" | "post" | "signed";
  readonly takesPkce: boolean;
  /** As it appears in the browser's URL. */
  readonly scope: string | null;
  readonly clientIdParam?: string;
  /** Fields in addition to the access token. */
  readonly tokenAnswer?: Readonly<Record<string, unknown>>;
  /** Claims of the id_token. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The path of the issuer, below the provider's origin. */
  readonly issuerPath?: string;
  readonly userinfo?: Readonly<Record<string, unknown>>;
  /** The profile, and how it is requested. */
  readonly user?: unknown;
  readonly method?: "GET" | "POST";
  readonly header?: readonly [string, string];
  readonly emails?: unknown;
  /** What Apple's page posts in addition to the code. */
  readonly form?: Readonly<Record<string, string>>;
  /** The row of the user who signed in. */
  readonly row: {
    readonly email: string | null;
    readonly emailVerified: boolean;
    readonly displayName: string | null;
  };
}

const TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad";
const known = (email: string): Documented["row"] => ({
  email,
  emailVerified: true,
  displayName: "Ann Doe",
});
/** The address is stored, but joins no accounts. */
const claimed = (email: string): Documented["row"] => ({
  email,
  emailVerified: false,
  displayName: "Ann Doe",
});
const OIDC = "openid email profile";

const DOCUMENTED: Readonly<Record<string, Documented>> = {
  google: {
    secret: "post",
    takesPkce: true,
    scope: OIDC,
    claims: {
      sub: "10769150350006150715",
      email: "ann@google.example",
      email_verified: true,
      name: "Ann Doe",
      picture: "https://p.example/1",
    },
    row: known("ann@google.example"),
  },
  github: {
    secret: "post",
    takesPkce: true,
    scope: "read:user user:email",
    tokenAnswer: { scope: "read:user,user:email", token_type: "bearer" },
    user: {
      id: 4711,
      login: "ann",
      name: "Ann Doe",
      email: "shown@github.example",
      avatar_url: "https://p.example/1",
    },
    emails: [
      { email: "noise@github.example", primary: false, verified: true, visibility: null },
      { email: "ann@github.example", primary: true, verified: true, visibility: "private" },
    ],
    header: ["accept", "application/vnd.github+json"],
    row: known("ann@github.example"),
  },
  apple: {
    secret: "signed",
    takesPkce: false,
    scope: "name email",
    claims: {
      sub: "001999.f0f0.1",
      email: "ann@apple.example",
      email_verified: "true",
      is_private_email: "false",
    },
    form: {
      user: JSON.stringify({
        name: { firstName: "Ann", lastName: "Doe" },
        email: "ann@apple.example",
      }),
    },
    row: known("ann@apple.example"),
  },
  microsoft: {
    secret: "post",
    takesPkce: true,
    scope: `${OIDC} offline_access`,
    issuerPath: `/${TENANT}/v2.0`,
    claims: {
      sub: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
      tid: TENANT,
      email: "ann@microsoft.example",
      name: "Ann Doe",
      preferred_username: "ann@microsoft.example",
    },
    row: claimed("ann@microsoft.example"),
  },
  discord: {
    secret: "post",
    takesPkce: true,
    scope: "identify email",
    tokenAnswer: {
      expires_in: 604_800,
      refresh_token: "canary-refresh",
      scope: "identify email",
      token_type: "Bearer",
    },
    user: {
      id: "80351110224678912",
      username: "ann",
      discriminator: "0",
      global_name: "Ann Doe",
      avatar: "8342729096ea3675442027381ff50dfe",
      verified: true,
      email: "ann@discord.example",
    },
    row: known("ann@discord.example"),
  },
  slack: {
    secret: "post",
    takesPkce: false,
    scope: OIDC,
    tokenAnswer: { ok: true },
    claims: {
      sub: "U123ABC456",
      "https://slack.com/user_id": "U123ABC456",
      "https://slack.com/team_id": "T123ABC456",
      email: "ann@slack.example",
      email_verified: true,
      name: "Ann Doe",
      picture: "https://p.example/1",
    },
    row: known("ann@slack.example"),
  },
  spotify: {
    secret: "basic",
    takesPkce: true,
    scope: "user-read-email",
    user: {
      display_name: "Ann Doe",
      email: "ann@spotify.example",
      id: "smedjan",
      images: [{ url: "https://p.example/1", height: 64, width: 64 }],
      type: "user",
    },
    row: claimed("ann@spotify.example"),
  },
  twitch: {
    secret: "post",
    takesPkce: false,
    scope: "user:read:email",
    tokenAnswer: {
      expires_in: 14_124,
      refresh_token: "canary-refresh",
      scope: ["user:read:email"],
      token_type: "bearer",
    },
    user: {
      data: [
        {
          id: "141981764",
          login: "ann",
          display_name: "Ann Doe",
          profile_image_url: "https://p.example/1",
          email: "ann@twitch.example",
          created_at: "2016-12-14T20:32:28Z",
        },
      ],
    },
    header: ["client-id", "client-of-twitch"],
    row: known("ann@twitch.example"),
  },
  twitter: {
    secret: "basic",
    takesPkce: true,
    scope: "users.read tweet.read users.email offline.access",
    user: {
      data: {
        id: "2244994945",
        name: "Ann Doe",
        username: "ann",
        profile_image_url: "https://p.example/1",
        confirmed_email: "ann@twitter.example",
      },
    },
    row: known("ann@twitter.example"),
  },
  linkedin: {
    secret: "post",
    takesPkce: false,
    scope: OIDC,
    user: {
      sub: "782bbtaQ",
      name: "Ann Doe",
      given_name: "Ann",
      family_name: "Doe",
      picture: "https://p.example/1",
      locale: "en-US",
      email: "ann@linkedin.example",
      email_verified: true,
    },
    row: known("ann@linkedin.example"),
  },
  facebook: {
    secret: "post",
    takesPkce: false,
    scope: "email,public_profile",
    user: {
      id: "10158",
      name: "Ann Doe",
      email: "ann@facebook.example",
      picture: {
        data: { height: 50, is_silhouette: false, url: "https://p.example/1", width: 50 },
      },
    },
    row: claimed("ann@facebook.example"),
  },
  gitlab: {
    secret: "post",
    takesPkce: true,
    scope: OIDC,
    // Its id_token contains only who the user is.
    claims: { sub: "1", auth_time: 1 },
    userinfo: {
      sub: "1",
      name: "Ann Doe",
      nickname: "ann",
      email: "ann@gitlab.example",
      email_verified: true,
      picture: "https://p.example/1",
    },
    row: known("ann@gitlab.example"),
  },
  reddit: {
    secret: "basic",
    takesPkce: false,
    scope: "identity",
    user: {
      id: "abc12",
      name: "Ann Doe",
      icon_img: "",
      snoovatar_img: "https://p.example/1",
      has_verified_email: true,
    },
    row: { email: null, emailVerified: false, displayName: "Ann Doe" },
  },
  notion: {
    secret: "basic",
    takesPkce: false,
    scope: null,
    tokenAnswer: { token_type: "bearer", bot_id: "b3414d65", workspace_id: "j565j4d7" },
    user: {
      object: "user",
      id: "b3414d65",
      type: "bot",
      bot: {
        owner: {
          type: "user",
          user: {
            object: "user",
            id: "e79a0b74",
            name: "Ann Doe",
            avatar_url: "https://p.example/1",
            type: "person",
            person: { email: "ann@notion.example" },
          },
        },
      },
    },
    header: ["notion-version", "2022-06-28"],
    row: claimed("ann@notion.example"),
  },
  linear: {
    secret: "post",
    takesPkce: true,
    scope: "read",
    user: {
      data: {
        viewer: {
          id: "u-1",
          name: "Ann Doe",
          email: "ann@linear.example",
          avatarUrl: "https://p.example/1",
        },
      },
    },
    method: "POST",
    header: ["content-type", "application/json"],
    row: claimed("ann@linear.example"),
  },
  vercel: {
    secret: "post",
    takesPkce: true,
    scope: OIDC,
    user: {
      sub: "345e869043f1e55f8bdc837c",
      email: "ann@vercel.example",
      email_verified: true,
      name: "Ann Doe",
      preferred_username: "ann",
      picture: "https://p.example/1",
    },
    row: known("ann@vercel.example"),
  },
  zoom: {
    secret: "basic",
    takesPkce: true,
    scope: null,
    user: {
      id: "z8yCxjabcdEFGHfp8uQ",
      first_name: "Ann",
      last_name: "Doe",
      display_name: "Ann Doe",
      email: "ann@zoom.example",
      verified: 1,
      pic_url: "https://p.example/1",
    },
    row: known("ann@zoom.example"),
  },
  salesforce: {
    secret: "post",
    takesPkce: true,
    scope: OIDC,
    tokenAnswer: {
      token_type: "Bearer",
      instance_url: "https://x.my.salesforce.example",
      id: "https://login.salesforce.example/id/00Dx/005x",
      issued_at: "1278448101416",
      signature: "c2ln",
    },
    user: {
      sub: "https://login.salesforce.example/id/00Dx/005x",
      user_id: "005x",
      organization_id: "00Dx",
      name: "Ann Doe",
      email: "ann@salesforce.example",
      email_verified: true,
      picture: "https://p.example/1",
    },
    row: known("ann@salesforce.example"),
  },
  atlassian: {
    secret: "post",
    takesPkce: true,
    scope: "read:me offline_access",
    user: {
      account_id: "112233aa",
      account_type: "atlassian",
      name: "Ann Doe",
      email: "ann@atlassian.example",
      email_verified: true,
      picture: "https://p.example/1",
      account_status: "active",
    },
    row: known("ann@atlassian.example"),
  },
  figma: {
    secret: "basic",
    takesPkce: true,
    scope: "current_user:read",
    tokenAnswer: { user_id_string: "12", expires_in: 7_776_000, refresh_token: "canary-refresh" },
    user: {
      id: "12",
      email: "ann@figma.example",
      handle: "Ann Doe",
      img_url: "https://p.example/1",
    },
    row: claimed("ann@figma.example"),
  },
  dropbox: {
    secret: "post",
    takesPkce: true,
    scope: "account_info.read",
    user: {
      account_id: "dbid:AAH4",
      name: { given_name: "Ann", surname: "Doe", familiar_name: "Ann", display_name: "Ann Doe" },
      email: "ann@dropbox.example",
      email_verified: true,
      profile_photo_url: "https://p.example/1",
    },
    method: "POST",
    row: known("ann@dropbox.example"),
  },
  tiktok: {
    secret: "post",
    takesPkce: false,
    scope: "user.info.basic",
    clientIdParam: "client_key",
    tokenAnswer: {
      expires_in: 86_400,
      open_id: "afd97af1",
      refresh_expires_in: 31_536_000,
      refresh_token: "canary-refresh",
      scope: "user.info.basic",
      token_type: "Bearer",
    },
    user: {
      data: {
        user: { open_id: "afd97af1", avatar_url: "https://p.example/1", display_name: "Ann Doe" },
      },
      error: { code: "ok", message: "", log_id: "2022" },
    },
    row: { email: null, emailVerified: false, displayName: "Ann Doe" },
  },
  paypal: {
    secret: "basic",
    takesPkce: true,
    scope: OIDC,
    user: {
      user_id: "https://www.paypal.example/webapps/auth/identity/user/mWq6",
      sub: "https://www.paypal.example/webapps/auth/identity/user/mWq6",
      name: "Ann Doe",
      email: "ann@paypal.example",
      email_verified: "true",
    },
    row: known("ann@paypal.example"),
  },
  kick: {
    secret: "post",
    takesPkce: true,
    scope: "user:read",
    user: {
      data: [
        {
          user_id: 123,
          name: "Ann Doe",
          email: "ann@kick.example",
          profile_picture: "https://p.example/1",
        },
      ],
      message: "OK",
    },
    row: claimed("ann@kick.example"),
  },
  roblox: {
    secret: "post",
    takesPkce: true,
    scope: "openid profile",
    user: {
      sub: "1516563360",
      name: "Ann Doe",
      nickname: "Ann",
      preferred_username: "ann",
      profile: "https://www.roblox.example/users/1",
      picture: "https://p.example/1",
    },
    row: { email: null, emailVerified: false, displayName: "Ann Doe" },
  },
};

/** What the provider has received and issued since the browser was redirected to it. */
interface Visit {
  readonly challenge: string | null;
  readonly nonce: string | null;
  readonly redirectUri: string;
}

const visits = new Map<string, Visit>();
const apple = generateKeyPairSync("ec", { namedCurve: "P-256" });
let issuerKey: CryptoKey;
let providers: Bun.Server<undefined>;
let server: PylonServer;

const originOf = (provider: string): string => `${providers.url.origin}/${provider}`;

/** Names the rule that a request violates. */
class Refusal extends Error {}

function wants(holds: boolean, rule: string): void {
  if (!holds) throw new Refusal(rule);
}

async function checkSecret(
  provider: string,
  { secret, clientIdParam = "client_id" }: Documented,
  request: Request,
  body: URLSearchParams,
): Promise<void> {
  const clientId = `client-of-${provider}`;
  if (secret === "basic") {
    // Nothing is decoded, as with most providers.
    wants(
      request.headers.get("authorization") === `Basic ${btoa(`${clientId}:secret-of-${provider}`)}`,
      "Basic authentication",
    );
    wants(!body.has("client_secret"), "no secret in the body");
    return;
  }
  wants(!request.headers.has("authorization"), "no Authorization header");
  wants(body.get(clientIdParam) === clientId, `${clientIdParam} in the body`);
  if (secret === "post") {
    wants(body.get("client_secret") === `secret-of-${provider}`, "the secret in the body");
    return;
  }
  await jwtVerify(body.get("client_secret") ?? "", apple.publicKey, {
    issuer: "TEAM123456",
    subject: clientId,
    audience: "https://appleid.apple.com",
  });
}

async function token(
  provider: string,
  documented: Documented,
  request: Request,
): Promise<Response> {
  wants(
    request.method === "POST" &&
      request.headers.get("content-type")?.startsWith("application/x-www-form-urlencoded") === true,
    "a form that is posted",
  );
  const body = new URLSearchParams(await request.text());
  await checkSecret(provider, documented, request, body);
  const visit = visits.get(body.get("code") ?? "");
  if (visit === undefined) throw new Refusal("a code that was given");
  wants(body.get("grant_type") === "authorization_code", "grant_type");
  wants(body.get("redirect_uri") === visit.redirectUri, "the redirect_uri of the beginning");
  const verifier = body.get("code_verifier");
  wants(
    visit.challenge ===
      (verifier === null ? null : createHash("sha256").update(verifier).digest("base64url")),
    "the verifier of the challenge",
  );
  return Response.json({
    access_token: `canary-of-${provider}`,
    ...documented.tokenAnswer,
    ...(documented.claims === undefined
      ? {}
      : { id_token: await idToken(provider, documented, visit) }),
  });
}

async function idToken(
  provider: string,
  { claims, issuerPath = "" }: Documented,
  { nonce }: Visit,
): Promise<string> {
  const jwt = new SignJWT({ ...claims, nonce })
    .setProtectedHeader({ alg: "RS256", kid: "k" })
    .setIssuedAt()
    .setExpirationTime("5m");
  return jwt
    .setIssuer(originOf(provider) + issuerPath)
    .setAudience(`client-of-${provider}`)
    .sign(issuerKey);
}

async function answer(request: Request, jwk: unknown): Promise<Response> {
  const [, provider = "", part = ""] = new URL(request.url).pathname.split("/");
  const documented = DOCUMENTED[provider];
  if (documented === undefined) throw new Refusal("a provider");
  if (part === "token") return token(provider, documented, request);
  if (part === "jwks") return Response.json({ keys: [jwk] });
  wants(
    request.headers.get("authorization") === `Bearer canary-of-${provider}`,
    "the access token",
  );
  if (part === "userinfo") return Response.json(documented.userinfo);
  if (part === "emails") return Response.json(documented.emails);
  wants(
    part === "user" && request.method === (documented.method ?? "GET"),
    "the method of the profile",
  );
  const [header, value] = documented.header ?? ["authorization", `Bearer canary-of-${provider}`];
  wants(request.headers.get(header) === value, `the header ${header}`);
  // Dropbox rejects a content type without content.
  if (provider === "dropbox")
    wants(
      !request.headers.has("content-type") && (await request.text()) === "",
      "a POST without a body",
    );
  if (provider === "linear")
    wants(
      ((await request.json()) as { query: string }).query.includes("viewer"),
      "a query of the viewer",
    );
  return Response.json(documented.user);
}

function endpointsOf(provider: string): Partial<Endpoints> {
  const origin = originOf(provider);
  const { issuer, jwks, userinfo, user, emails } = CATALOGUE.get(provider)?.endpoints ?? {};
  return {
    token: `${origin}/token`,
    ...(issuer === undefined
      ? {}
      : { issuer: provider === "microsoft" ? `${origin}/{tid}/v2.0` : origin }),
    ...(jwks === undefined ? {} : { jwks: `${origin}/jwks` }),
    ...(userinfo === undefined ? {} : { userinfo: `${origin}/userinfo` }),
    ...(user === undefined ? {} : { user: `${origin}/user` }),
    ...(emails === undefined ? {} : { emails: `${origin}/emails` }),
  };
}

function variablesOf(provider: string): Record<string, string> {
  const prefix = `PYLON_OAUTH_${provider.toUpperCase()}`;
  const id = { [`${prefix}_CLIENT_ID`]: `client-of-${provider}` };
  if (provider !== "apple") return { ...id, [`${prefix}_CLIENT_SECRET`]: `secret-of-${provider}` };
  return {
    ...id,
    [`${prefix}_TEAM_ID`]: "TEAM123456",
    [`${prefix}_KEY_ID`]: "KEY1234567",
    [`${prefix}_PRIVATE_KEY`]: apple.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

beforeAll(async () => {
  const pair = await generateKeyPair("RS256");
  issuerKey = pair.privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: "k", alg: "RS256", use: "sig" };
  providers = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => answer(request, jwk),
    error: (error) =>
      Response.json(
        { error: "invalid_request", error_description: error.message },
        { status: 400 },
      ),
  });
  const manifest = buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity("User", {
        email: field.string().unique().optional(),
        displayName: field.string().optional(),
        emailVerified: field.bool().default(false),
        avatarUrl: field.string().optional(),
      }),
    ],
    policies: [policy({ name: "users", entity: "User", allow: "auth.userId == data.id" })],
  });
  const names = Object.keys(DOCUMENTED);
  const env = {
    PYLON_DEV_MODE: "1",
    PYLON_PORT: "0",
    PYLON_HOST: "127.0.0.1",
    PYLON_IN_MEMORY: "1",
    PYLON_LOG_LEVEL: "error",
  };
  server = createServer({
    app: {
      dir: ".",
      manifest,
      manifestModule: manifest,
      functions: new Map(),
      workflows: new Map(),
      shards: new Map(),
      web: null,
      diagnostics: [],
    },
    config: loadConfig({ ...env, ...Object.assign({}, ...names.map(variablesOf)) }),
    oauthEndpoints: Object.fromEntries(names.map((name) => [name, endpointsOf(name)])),
  });
  await server.start();
});
afterAll(async () => {
  await server.stop();
  await providers.stop(true);
});

/** Signs in like a browser. @returns the cookies of the session */
async function signIn(provider: string): Promise<string> {
  const begun = await fetch(`${server.url}/api/auth/login/${provider}`);
  const { redirect, state } = (await begun.json()) as { redirect: string; state: string };
  const { searchParams } = new URL(redirect);
  const code = `code-${visits.size}`;
  visits.set(code, {
    challenge: searchParams.get("code_challenge"),
    nonce: searchParams.get("nonce"),
    redirectUri: searchParams.get("redirect_uri") ?? "",
  });
  const cookie = (begun.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const { form } = DOCUMENTED[provider] ?? {};
  const callback = `${server.url}/api/auth/callback/${provider}`;
  const back =
    form === undefined
      ? await fetch(`${callback}?${new URLSearchParams({ code, state })}`, {
          redirect: "manual",
          headers: { Cookie: cookie },
        })
      : await fetch(callback, {
          method: "POST",
          redirect: "manual",
          headers: { Cookie: cookie, Origin: "https://appleid.apple.com" },
          body: new URLSearchParams({ code, state, ...form }),
        });
  expect(back.headers.get("location")).toBe(`${server.url}/`);
  return (
    (back.headers.getSetCookie().find((value) => value.startsWith("shop_session=")) ?? "").split(
      ";",
    )[0] ?? ""
  );
}

async function userOf(session: string): Promise<Record<string, unknown>> {
  const { user } = (await (
    await fetch(`${server.url}/api/auth/session`, { headers: { Cookie: session } })
  ).json()) as { user: Record<string, unknown> };
  return user;
}

test("each provider of the catalogue is tested here, and no other", () => {
  expect(Object.keys(DOCUMENTED).sort()).toEqual([...CATALOGUE.keys()].sort());
});

test.each(Object.entries(DOCUMENTED))(
  "%s returns who signed in, and the same person the next time",
  async (provider, { takesPkce, scope, clientIdParam = "client_id", claims, form, row }) => {
    const { redirect } = (await (
      await fetch(`${server.url}/api/auth/login/${provider}`)
    ).json()) as { redirect: string };
    const url = new URL(redirect);
    expect(url.protocol).toBe("https:");
    const asked = Object.fromEntries(
      [clientIdParam, "response_type", "scope", "code_challenge_method", "response_mode"].map(
        (name) => [name, url.searchParams.get(name)],
      ),
    );
    expect(asked).toEqual({
      [clientIdParam]: `client-of-${provider}`,
      response_type: "code",
      scope,
      code_challenge_method: takesPkce ? "S256" : null,
      response_mode: form === undefined ? null : "form_post",
    });
    expect([url.searchParams.has("code_challenge"), url.searchParams.has("nonce")]).toEqual([
      takesPkce,
      claims !== undefined,
    ]);

    const session = await signIn(provider);
    const first = await userOf(session);
    expect({
      email: first["email"] ?? null,
      emailVerified: first["emailVerified"] as boolean,
      displayName: (first["displayName"] as string | undefined) ?? null,
    }).toEqual(row);
    expect((await userOf(await signIn(provider)))["id"]).toBe(first["id"]);
    const accounts = await (
      await fetch(`${server.url}/api/auth/accounts`, { headers: { Cookie: session } })
    ).text();
    expect(accounts).toContain(`"${provider}"`);
    expect(accounts).not.toContain("canary");
  },
);
