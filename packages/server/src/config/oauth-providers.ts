/**
 * The OAuth providers that are known by name: they need only `PYLON_OAUTH_<NAME>_CLIENT_ID`.
 * auth/oauth/catalogue.ts has their endpoints.
 */
export const OAUTH_PROVIDERS = [
  "google",
  "github",
  "apple",
  "microsoft",
  "discord",
  "slack",
  "spotify",
  "twitch",
  "twitter",
  "linkedin",
  "facebook",
  "gitlab",
  "reddit",
  "notion",
  "linear",
  "vercel",
  "zoom",
  "salesforce",
  "atlassian",
  "figma",
  "dropbox",
  "tiktok",
  "paypal",
  "kick",
  "roblox",
] as const;
/** One of those providers. */
export type OAuthProviderName = (typeof OAUTH_PROVIDERS)[number];

/** Whether the provider is one of those. */
export function isKnownProvider(name: string): name is OAuthProviderName {
  return OAUTH_PROVIDERS.some((known) => known === name);
}
