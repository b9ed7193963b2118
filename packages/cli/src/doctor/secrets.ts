import { isSecretName } from "../settings/variable-names.ts";
import { error, notChecked, pass, warning, type Check } from "./check.ts";
import { isSet, type ProductionSettings } from "./production-settings.ts";

/** Common placeholders for secrets. */
const WELL_KNOWN =
  /admin|change.?me|default|dev|example|letmein|password|pylon|qwerty|secret|test|token|1234/i;
const MIN_LENGTH = 32;
const MIN_DIFFERENT = 10;
const ENCRYPTION_KEY = "PYLON_SSO_ENCRYPTION_KEY";

/**
 * Checks that the server's own secrets are set and can't be guessed. Messages never contain their
 * values.
 */
export function checkSecrets(settings: ProductionSettings, hasUsers: boolean | null): Check[] {
  return [
    checkAdminToken(settings),
    checkEncryptionKey(settings, hasUsers),
    ...checkStrength("JWT secret", "PYLON_JWT_SECRET", settings),
    ...checkOAuthPairs(settings),
  ];
}

/**
 * Checks that the variables are set that functions declare as their secrets: without one, each call
 * that reads it fails.
 *
 * @param names null: the app is not valid
 */
export function checkFunctionSecrets(
  settings: ProductionSettings,
  names: ReadonlySet<string> | null,
): Check {
  if (names === null) return notChecked("function secrets");
  const missing = [...names].filter((name) => !isSet(settings, name) && !settings.known.has(name));
  if (missing.length === 0)
    return pass("function secrets", `${names.size} declared, and all are set`);
  const [verb, them] = missing.length === 1 ? ["is", "it"] : ["are", "them"];
  return warning(
    "function secrets",
    `${missing.join(", ")} ${verb} not set, so functions that declare ${them} in \`secrets\` fail.`,
  );
}

function checkAdminToken(settings: ProductionSettings): Check {
  const name = "PYLON_ADMIN_TOKEN";
  if (!isSet(settings, name))
    return error(
      "admin token",
      `${name} is not set, so metrics, logs and export are unavailable: generate one with ` +
        `${generate(settings)}.`,
    );
  return (
    checkStrength("admin token", name, settings)[0] ??
    pass("admin token", `${name} is a secret of the stage`)
  );
}

/** Checks whether a secret is stored where others can read it. */
export function checkPlainSecrets({ plain, kind }: ProductionSettings): Check {
  const secrets = plain.filter(isSecretName);
  if (secrets.length === 0) return pass("plain secrets", "none");
  const names = secrets.join(", ");
  if (kind === "sst")
    return error(
      "plain secrets",
      `PYLON_VARIABLES contains ${names}, ` +
        "whose value would be plain text in the task definition: " +
        "list it in PYLON_SECRETS instead, and set its value with `pylon secrets " +
        `set ${secrets[0] ?? ""}\`.`,
    );
  return error(
    "plain secrets",
    `fly.toml has ${names} in [env], as plain text in the repository: remove it, ` +
      "generate a new one, and set it with `fly secrets set`.",
  );
}

/** @param hasUsers null if the app does not load, so that it is not known */
function checkEncryptionKey(settings: ProductionSettings, hasUsers: boolean | null): Check {
  if (isSet(settings, ENCRYPTION_KEY))
    return (
      checkStrength("encryption key", ENCRYPTION_KEY, settings)[0] ??
      pass("encryption key", `${ENCRYPTION_KEY} is a secret of the stage`)
    );
  if (hasUsers === null) return notChecked("encryption key");
  const isUsed =
    hasUsers || Object.keys(settings.env).some((name) => /^PYLON_OAUTH_\w+_CLIENT_ID$/.test(name));
  if (!isUsed)
    return pass(
      "encryption key",
      `${ENCRYPTION_KEY} is not set; the app has no users, so it is not needed`,
    );
  return error(
    "encryption key",
    `${ENCRYPTION_KEY} is not set, but the app has users: authenticator apps and stored OAuth ` +
      `tokens require it. Generate one with ${generate(settings)}.`,
  );
}

/** Returns nothing for a variable whose value is not known here. */
function checkStrength(what: string, name: string, { env, kind }: ProductionSettings): Check[] {
  const value = env[name] ?? "";
  if (value === "") return [];
  const weakness = weaknessOf(value);
  const fix =
    kind === "sst" ? `\`pylon secrets generate ${name} --target sst\`` : "`openssl rand -hex 32`";
  return [
    weakness === null
      ? pass(what, `${name} is set and strong`)
      : error(what, `${name} ${weakness}: generate a new one with ${fix}.`),
  ];
}

function weaknessOf(value: string): string | null {
  if (value.length < MIN_LENGTH) return `has fewer than ${MIN_LENGTH} characters`;
  if (new Set(value).size < MIN_DIFFERENT) return "has few different characters";
  // A random text of this length contains such a word once in millions; a hexadecimal text hardly
  // ever.
  return WELL_KNOWN.test(value) && !/^[0-9a-f]+$/i.test(value)
    ? "contains words that attackers try first"
    : null;
}

function checkOAuthPairs(settings: ProductionSettings): Check[] {
  const parts = [
    ...Object.keys(settings.env).filter((name) => isSet(settings, name)),
    ...settings.given,
  ].flatMap((name) => {
    const [, provider, part] =
      /^PYLON_OAUTH_(\w+)_(CLIENT_ID|CLIENT_SECRET|PRIVATE_KEY)$/.exec(name) ?? [];
    return provider === undefined || part === undefined
      ? []
      : [{ provider, isId: part === "CLIENT_ID" }];
  });
  return [...new Set(parts.map(({ provider }) => provider))].map((provider) => {
    const missing = [true, false].find(
      (isId) => !parts.some((part) => part.provider === provider && part.isId === isId),
    );
    if (missing === undefined) return pass("OAuth", `${provider} has a client id and a secret`);
    return error(
      "OAuth",
      `PYLON_OAUTH_${provider}_${missing ? "CLIENT_ID" : "CLIENT_SECRET"} is not set, but its ` +
        `counterpart ` +
        "is: set both, or neither.",
    );
  });
}

function generate({ kind }: ProductionSettings): string {
  return kind === "sst" ? "`pylon secrets generate --target sst`" : "`pylon secrets generate`";
}
