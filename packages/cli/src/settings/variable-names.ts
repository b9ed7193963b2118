import { isOAuthSecret, isOAuthVariable, VARIABLES } from "@pylonsync/server";
import { nearest } from "@pylonsync/query";

/** How secrets are named, also the app's own. */
const SECRET = /(SECRET|TOKEN|KEY|PASSWORD)$/;
/** The variables that `infra/settings.ts`, the pages of Next and the installer read. */
const OTHER_PREFIXES = [
  ...[
    "PYLON_DOMAIN",
    "PYLON_DNS",
    "PYLON_DNS_ZONE",
    "PYLON_CDN_DOMAIN",
    "PYLON_ALARM_EMAIL",
    "PYLON_SECRETS",
    "PYLON_VARIABLES",
  ],
  ...["PYLON_TARGET", "PYLON_URL", "PYLON_SOCKET_URL"],
  ...["PYLON_RELEASES_URL", "PYLON_VERSION", "PYLON_INSTALL_DIR"],
];

/**
 * Whether the variable's value is confidential, according to the server's definition of it and to
 * its name.
 */
export function isSecretName(name: string): boolean {
  return SECRET.test(name) || isServerSecret(name);
}

/** Whether the server defines the variable as a secret. */
function isServerSecret(name: string): boolean {
  const variable = Object.entries(VARIABLES).find(([known]) => known === name)?.[1];
  return (
    (variable !== undefined && "secret" in variable && variable.secret === true) ||
    isOAuthSecret(name)
  );
}

/** Whether it is a non-confidential variable of the server. */
export function isServerSetting(name: string): boolean {
  return !isServerSecret(name) && (Object.hasOwn(VARIABLES, name) || isOAuthVariable(name));
}

/**
 * The variables with Pylon's prefix that nothing reads.
 *
 * @param others further names that something reads
 * @returns each with the one that was probably meant
 */
export function unknownVariables(
  names: Iterable<string>,
  others: ReadonlySet<string> = new Set(),
): { readonly name: string; readonly meant: string | undefined }[] {
  const known = [...Object.keys(VARIABLES), ...OTHER_PREFIXES, ...others];
  // The server itself reports unknown variables of OAuth.
  const unknown = [...names].filter(
    (name) =>
      name.startsWith("PYLON_") && !name.startsWith("PYLON_OAUTH_") && !known.includes(name),
  );
  return unknown.map((name) => ({
    name,
    meant: nearest(
      name,
      known.filter((candidate) => candidate.startsWith("PYLON_")),
    ),
  }));
}
