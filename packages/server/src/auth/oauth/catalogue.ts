import type { OAuthProviderName } from "../../config/oauth-providers.ts";
import * as read from "./profile-readers.ts";
import type { ReadProfile } from "./profile.ts";

/** The endpoints of a provider. Tests replace them with servers of their own. */
export interface Endpoints {
  /** The endpoint that the browser is redirected to. */
  readonly authorization: string;
  readonly token: string;
  /** The endpoint that refreshes tokens, if it is not `token`. */
  readonly refresh?: string;
  /**
   * The issuer of id_tokens, and its keys. With them, an id_token is required and validated.
   * `{tid}` stands for the token's own tenant.
   */
  readonly issuer?: string;
  readonly jwks?: string;
  /** The userinfo endpoint of an OIDC provider. */
  readonly userinfo?: string;
  /** A profile endpoint in the provider's own format. */
  readonly user?: string;
  readonly emails?: string;
}

/** One provider: only data, so that a new provider is one entry. */
export interface ProviderSpec {
  readonly endpoints: Endpoints;
  readonly scopes: readonly string[];
  readonly scopeSeparator?: string;
  /** Additional parameters of the authorization URL. */
  readonly params?: Readonly<Record<string, string>>;
  /** How the client authenticates with its secret. */
  readonly clientAuth: "basic" | "post";
  /** False: the provider does not accept PKCE; then the state and the secret protect the code. */
  readonly pkce?: false;
  /** The name of the client id parameter, if it is not `client_id`. */
  readonly clientIdParam?: string;
  /** The code is returned as a form that the provider's page posts. */
  readonly usesFormPost?: true;
  /** The profile is requested with this POST body instead of a GET; null: a POST without a body. */
  readonly userBody?: string | null;
  readonly userHeaders?: Readonly<Record<string, string>>;
  /** The header of the profile request that contains the client id. */
  readonly clientIdHeader?: string;
  readonly readProfile: ReadProfile;
}

const OIDC_SCOPES = ["openid", "email", "profile"];

const SPECS: Readonly<Record<OAuthProviderName, ProviderSpec>> = {
  google: {
    endpoints: {
      authorization: "https://accounts.google.com/o/oauth2/v2/auth",
      token: "https://oauth2.googleapis.com/token",
      issuer: "https://accounts.google.com",
      jwks: "https://www.googleapis.com/oauth2/v3/certs",
    },
    scopes: OIDC_SCOPES,
    // Without it Google returns no refresh token.
    params: { access_type: "offline" },
    clientAuth: "post",
    readProfile: read.readClaims,
  },
  github: {
    endpoints: {
      authorization: "https://github.com/login/oauth/authorize",
      token: "https://github.com/login/oauth/access_token",
      user: "https://api.github.com/user",
      emails: "https://api.github.com/user/emails",
    },
    scopes: ["read:user", "user:email"],
    clientAuth: "post",
    userHeaders: { Accept: "application/vnd.github+json" },
    readProfile: read.readGithub,
  },
  apple: {
    endpoints: {
      authorization: "https://appleid.apple.com/auth/authorize",
      token: "https://appleid.apple.com/auth/token",
      issuer: "https://appleid.apple.com",
      jwks: "https://appleid.apple.com/auth/keys",
    },
    scopes: ["name", "email"],
    clientAuth: "post",
    pkce: false,
    // Apple returns the name and the address in no other way.
    usesFormPost: true,
    readProfile: read.readApple,
  },
  microsoft: {
    endpoints: {
      authorization: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
      token: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
      issuer: "https://login.microsoftonline.com/{tid}/v2.0",
      jwks: "https://login.microsoftonline.com/common/discovery/v2.0/keys",
    },
    scopes: [...OIDC_SCOPES, "offline_access"],
    clientAuth: "post",
    readProfile: read.readMicrosoft,
  },
  discord: {
    endpoints: {
      authorization: "https://discord.com/oauth2/authorize",
      token: "https://discord.com/api/oauth2/token",
      user: "https://discord.com/api/users/@me",
    },
    scopes: ["identify", "email"],
    clientAuth: "post",
    readProfile: read.readDiscord,
  },
  slack: {
    endpoints: {
      authorization: "https://slack.com/openid/connect/authorize",
      token: "https://slack.com/api/openid.connect.token",
      issuer: "https://slack.com",
      jwks: "https://slack.com/openid/connect/keys",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "post",
    pkce: false,
    readProfile: read.readClaims,
  },
  spotify: {
    endpoints: {
      authorization: "https://accounts.spotify.com/authorize",
      token: "https://accounts.spotify.com/api/token",
      user: "https://api.spotify.com/v1/me",
    },
    scopes: ["user-read-email"],
    clientAuth: "basic",
    readProfile: read.readSpotify,
  },
  twitch: {
    endpoints: {
      authorization: "https://id.twitch.tv/oauth2/authorize",
      token: "https://id.twitch.tv/oauth2/token",
      user: "https://api.twitch.tv/helix/users",
    },
    scopes: ["user:read:email"],
    clientAuth: "post",
    pkce: false,
    clientIdHeader: "Client-Id",
    readProfile: read.readTwitch,
  },
  twitter: {
    endpoints: {
      authorization: "https://x.com/i/oauth2/authorize",
      token: "https://api.x.com/2/oauth2/token",
      user: "https://api.x.com/2/users/me?user.fields=profile_image_url,confirmed_email",
    },
    scopes: ["users.read", "tweet.read", "users.email", "offline.access"],
    clientAuth: "basic",
    readProfile: read.readTwitter,
  },
  linkedin: {
    endpoints: {
      authorization: "https://www.linkedin.com/oauth/v2/authorization",
      token: "https://www.linkedin.com/oauth/v2/accessToken",
      user: "https://api.linkedin.com/v2/userinfo",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "post",
    pkce: false,
    readProfile: read.readUserClaims,
  },
  facebook: {
    endpoints: {
      authorization: "https://www.facebook.com/v24.0/dialog/oauth",
      token: "https://graph.facebook.com/v24.0/oauth/access_token",
      user: "https://graph.facebook.com/v24.0/me?fields=id,name,email,picture",
    },
    scopes: ["email", "public_profile"],
    scopeSeparator: ",",
    clientAuth: "post",
    pkce: false,
    readProfile: read.readFacebook,
  },
  gitlab: {
    endpoints: {
      authorization: "https://gitlab.com/oauth/authorize",
      token: "https://gitlab.com/oauth/token",
      issuer: "https://gitlab.com",
      jwks: "https://gitlab.com/oauth/discovery/keys",
      userinfo: "https://gitlab.com/oauth/userinfo",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "post",
    readProfile: read.readClaims,
  },
  reddit: {
    endpoints: {
      authorization: "https://www.reddit.com/api/v1/authorize",
      token: "https://www.reddit.com/api/v1/access_token",
      user: "https://oauth.reddit.com/api/v1/me",
    },
    scopes: ["identity"],
    params: { duration: "permanent" },
    clientAuth: "basic",
    pkce: false,
    readProfile: read.readReddit,
  },
  notion: {
    endpoints: {
      authorization: "https://api.notion.com/v1/oauth/authorize",
      token: "https://api.notion.com/v1/oauth/token",
      user: "https://api.notion.com/v1/users/me",
    },
    scopes: [],
    params: { owner: "user" },
    clientAuth: "basic",
    pkce: false,
    userHeaders: { "Notion-Version": "2022-06-28" },
    readProfile: read.readNotion,
  },
  linear: {
    endpoints: {
      authorization: "https://linear.app/oauth/authorize",
      token: "https://api.linear.app/oauth/token",
      user: "https://api.linear.app/graphql",
    },
    scopes: ["read"],
    clientAuth: "post",
    userBody: JSON.stringify({ query: "{ viewer { id name email avatarUrl } }" }),
    userHeaders: { "Content-Type": "application/json" },
    readProfile: read.readLinear,
  },
  vercel: {
    endpoints: {
      authorization: "https://vercel.com/oauth/authorize",
      token: "https://api.vercel.com/login/oauth/token",
      user: "https://api.vercel.com/login/oauth/userinfo",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "post",
    readProfile: read.readUserClaims,
  },
  zoom: {
    endpoints: {
      authorization: "https://zoom.us/oauth/authorize",
      token: "https://zoom.us/oauth/token",
      user: "https://api.zoom.us/v2/users/me",
    },
    // Zoom's scopes are those of the registered app.
    scopes: [],
    clientAuth: "basic",
    readProfile: read.readZoom,
  },
  salesforce: {
    endpoints: {
      authorization: "https://login.salesforce.com/services/oauth2/authorize",
      token: "https://login.salesforce.com/services/oauth2/token",
      user: "https://login.salesforce.com/services/oauth2/userinfo",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "post",
    readProfile: read.readSalesforce,
  },
  atlassian: {
    endpoints: {
      authorization: "https://auth.atlassian.com/authorize",
      token: "https://auth.atlassian.com/oauth/token",
      user: "https://api.atlassian.com/me",
    },
    scopes: ["read:me", "offline_access"],
    params: { audience: "api.atlassian.com", prompt: "consent" },
    clientAuth: "post",
    readProfile: read.readAtlassian,
  },
  figma: {
    endpoints: {
      authorization: "https://www.figma.com/oauth",
      token: "https://api.figma.com/v1/oauth/token",
      refresh: "https://api.figma.com/v1/oauth/refresh",
      user: "https://api.figma.com/v1/me",
    },
    scopes: ["current_user:read"],
    clientAuth: "basic",
    readProfile: read.readFigma,
  },
  dropbox: {
    endpoints: {
      authorization: "https://www.dropbox.com/oauth2/authorize",
      token: "https://api.dropboxapi.com/oauth2/token",
      user: "https://api.dropboxapi.com/2/users/get_current_account",
    },
    scopes: ["account_info.read"],
    params: { token_access_type: "offline" },
    clientAuth: "post",
    userBody: null,
    readProfile: read.readDropbox,
  },
  tiktok: {
    endpoints: {
      authorization: "https://www.tiktok.com/v2/auth/authorize/",
      token: "https://open.tiktokapis.com/v2/oauth/token/",
      user: "https://open.tiktokapis.com/v2/user/info/?fields=open_id,avatar_url,display_name",
    },
    scopes: ["user.info.basic"],
    scopeSeparator: ",",
    clientAuth: "post",
    // Its challenge is not that of RFC 7636, and is required of desktop apps only.
    pkce: false,
    clientIdParam: "client_key",
    readProfile: read.readTiktok,
  },
  paypal: {
    endpoints: {
      authorization: "https://www.paypal.com/signin/authorize",
      token: "https://api-m.paypal.com/v1/oauth2/token",
      user: "https://api-m.paypal.com/v1/identity/oauth2/userinfo?schema=openid",
    },
    scopes: OIDC_SCOPES,
    clientAuth: "basic",
    readProfile: read.readPaypal,
  },
  kick: {
    endpoints: {
      authorization: "https://id.kick.com/oauth/authorize",
      token: "https://id.kick.com/oauth/token",
      user: "https://api.kick.com/public/v1/users",
    },
    scopes: ["user:read"],
    clientAuth: "post",
    readProfile: read.readKick,
  },
  roblox: {
    endpoints: {
      authorization: "https://apis.roblox.com/oauth/v1/authorize",
      token: "https://apis.roblox.com/oauth/v1/token",
      user: "https://apis.roblox.com/oauth/v1/userinfo",
    },
    scopes: ["openid", "profile"],
    clientAuth: "post",
    readProfile: read.readUserClaims,
  },
};

/** The providers that Pylon knows, by name. Any other provider needs an OIDC issuer. */
export const CATALOGUE: ReadonlyMap<string, ProviderSpec> = new Map(Object.entries(SPECS));
