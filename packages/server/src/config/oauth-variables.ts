import { isKnownProvider, OAUTH_PROVIDERS } from "./oauth-providers.ts";

/** A provider to sign in with, as configured by the environment. */
export interface OAuthProviderConfig {
  /** In lower case, as used in paths: `google`. */
  readonly name: string;
  readonly clientId: string;
  readonly secret: OAuthSecret;
  /** Where the provider redirects browsers to; null: this server's own callback. */
  readonly redirect: string | null;
  /** The issuer whose discovery document has the endpoints; null for one of the catalogue. */
  readonly issuer: string | null;
}

/** Apple's secret is signed again for each use. */
export type OAuthSecret =
  | { readonly kind: "shared"; readonly value: string }
  | {
      readonly kind: "apple";
      readonly teamId: string;
      readonly keyId: string;
      readonly privateKey: string;
    };

interface Part {
  readonly wants: string;
  readonly doc: string;
  readonly secret?: boolean;
  /** For one provider only. */
  readonly only?: string;
  /** @throws any error if the text is not valid */
  readonly parse: (text: string, dev: boolean) => string;
}

const text = (value: string): string => value;

/** The variables `PYLON_OAUTH_<NAME>_...`: for the parser and docs/configuration.md. */
export const OAUTH_VARIABLES = {
  CLIENT_ID: {
    wants: "a client id",
    doc: "Enables sign-in with the OAuth provider NAME, such as `GOOGLE`; see [OAuth](oauth.md).",
    parse: text,
  },
  CLIENT_SECRET: {
    wants: "a client secret",
    doc: "The secret of the client id.",
    secret: true,
    parse: text,
  },
  REDIRECT: {
    wants: "a URL",
    doc:
      "The redirect URL for the provider, if it is not " +
      "`<PYLON_PUBLIC_URL>/api/auth/callback/<name>`.",
    parse: redirect,
  },
  OIDC_ISSUER: {
    wants: "an https URL (http in dev mode)",
    doc: "The OIDC issuer for NAME. Without it, NAME must be one of the built-in providers.",
    parse: issuer,
  },
  TEAM_ID: {
    wants: "a team id",
    doc: "Used with `_KEY_ID` and `_PRIVATE_KEY` instead of a client secret for Apple.",
    only: "APPLE",
    parse: text,
  },
  KEY_ID: { wants: "a key id", doc: "The id of the private key.", only: "APPLE", parse: text },
  PRIVATE_KEY: {
    wants: "a private key in PEM; line breaks may be written as \\n",
    doc: "Signs the client secrets for Apple.",
    secret: true,
    only: "APPLE",
    parse: pem,
  },
} as const satisfies Readonly<Record<string, Part>>;

type PartName = keyof typeof OAUTH_VARIABLES;
type Parts = Partial<Record<PartName, string>>;

const PREFIX = "PYLON_OAUTH_";
const NAMED = new RegExp(
  `^${PREFIX}([A-Z0-9_]{1,50})_(${Object.keys(OAUTH_VARIABLES).join("|")})$`,
);

/** Whether this is the name of an OAuth client's variable. */
export function isOAuthVariable(name: string): boolean {
  return NAMED.test(name);
}

/** Whether the variable with this name contains a secret of an OAuth client. */
export function isOAuthSecret(name: string): boolean {
  const named = partsOf(name);
  return named !== null && partOf(named.part).secret === true;
}

/**
 * Reads the variables `PYLON_OAUTH_<NAME>_<PART>` of the environment.
 *
 * @param problems receives a sentence for each missing or invalid variable; it never contains a
 *   secret
 */
export function oauthProviders(
  environment: Readonly<Record<string, string | undefined>>,
  dev: boolean,
  problems: string[],
): OAuthProviderConfig[] {
  const found = new Map<string, Parts>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || value === undefined || value === "") continue;
    const named = partsOf(variable);
    const { only, parse, wants, secret }: Part = named === null ? UNKNOWN : partOf(named.part);
    if (named === null || (only !== undefined && only !== named.name)) {
      problems.push(
        `${variable} is not a variable of Pylon: use ${PREFIX}<NAME>_CLIENT_ID, ` +
          "_CLIENT_SECRET, _REDIRECT or _OIDC_ISSUER.",
      );
      continue;
    }
    try {
      const parts = found.get(named.name) ?? {};
      found.set(named.name, { ...parts, [named.part]: parse(value, dev) });
    } catch {
      problems.push(
        `${variable} is ${secret === true ? "invalid" : JSON.stringify(value)}: expected ${wants}.`,
      );
    }
  }
  return [...found].flatMap(([name, parts]) => provider(name, parts, problems) ?? []);
}

const UNKNOWN: Part = { wants: "", doc: "", parse: text };

function partOf(name: PartName): Part {
  return OAUTH_VARIABLES[name];
}

/** Returns the provider and the part in a variable's name. */
function partsOf(variable: string): { readonly name: string; readonly part: PartName } | null {
  const [, name = "", part = ""] = NAMED.exec(variable) ?? [];
  return isPart(part) ? { name, part } : null;
}

function isPart(name: string): name is PartName {
  return Object.hasOwn(OAUTH_VARIABLES, name);
}

function provider(name: string, parts: Parts, problems: string[]): OAuthProviderConfig | null {
  const variable = (part: PartName): string => `${PREFIX}${name}_${part}`;
  const key = name.toLowerCase();
  const {
    CLIENT_ID: clientId,
    OIDC_ISSUER: issuerUrl = null,
    REDIRECT: redirectUrl = null,
  } = parts;
  if (issuerUrl === null && !isKnownProvider(key)) {
    problems.push(
      `${variable("OIDC_ISSUER")} is not set, and ${key} is not a built-in provider: set the ` +
        `issuer, or use one of ${OAUTH_PROVIDERS.join(", ")}.`,
    );
    return null;
  }
  const secret = secretOf(parts, name);
  if (typeof secret === "string") {
    problems.push(`${variable(secret)} is not set, but other variables of ${key} are.`);
  } else if (clientId === undefined) {
    problems.push(`${variable("CLIENT_ID")} is not set, but other variables of ${key} are.`);
  } else return { name: key, clientId, secret, redirect: redirectUrl, issuer: issuerUrl };
  return null;
}

/** Returns the secret, or the name of the part that is missing for it. */
function secretOf(parts: Parts, name: string): OAuthSecret | PartName {
  const { CLIENT_SECRET: value, TEAM_ID: teamId, KEY_ID: keyId, PRIVATE_KEY: privateKey } = parts;
  if (value !== undefined) return { kind: "shared", value };
  if (name !== "APPLE" || (teamId === undefined && keyId === undefined && privateKey === undefined))
    return "CLIENT_SECRET";
  if (teamId === undefined) return "TEAM_ID";
  if (keyId === undefined) return "KEY_ID";
  return privateKey === undefined ? "PRIVATE_KEY" : { kind: "apple", teamId, keyId, privateKey };
}

function redirect(value: string): string {
  const url = new URL(value);
  if (!/^https?:$/.test(url.protocol) || url.hash !== "" || url.username !== "")
    throw new RangeError(value);
  return value;
}

function issuer(value: string, dev: boolean): string {
  const { protocol, hash, search, username } = new URL(value);
  if (
    (protocol !== "https:" && !(dev && protocol === "http:")) ||
    hash !== "" ||
    search !== "" ||
    username !== ""
  )
    throw new RangeError(value);
  return value;
}

function pem(value: string): string {
  const key = value.replaceAll("\\n", "\n");
  if (!key.includes("-----BEGIN PRIVATE KEY-----")) throw new RangeError("no PEM");
  return key;
}
