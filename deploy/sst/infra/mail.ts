import type { Settings } from "./settings";

const ADDRESS = /([^\s<>"]+)@([a-z0-9.-]+)>?\s*$/i;

interface Permission {
  actions: string[];
  resources: $util.Input<string>[];
  conditions: { test: string; variable: string; values: string[] }[];
}

/**
 * With mail through SES: the permission to send from the stage's own address. SES requires the
 * verified identity, which may be the address or its domain.
 *
 * @throws Error if there is no address
 */
export function mailPermissions({ variables }: Settings): Permission[] {
  if (variables["PYLON_EMAIL_PROVIDER"] !== "ses") return [];
  const [, user, domain] = ADDRESS.exec(variables["PYLON_EMAIL_FROM"] ?? "") ?? [];
  if (user === undefined || domain === undefined)
    throw new Error(
      "PYLON_EMAIL_PROVIDER is ses: name PYLON_EMAIL_FROM among the variables of the stage " +
        "too, with an address that SES has verified, such as " +
        "PYLON_EMAIL_FROM=hello@example.com.",
    );
  const address = `${user}@${domain}`;
  const { partition } = aws.getPartitionOutput();
  const { name: region } = aws.getRegionOutput();
  const { accountId } = aws.getCallerIdentityOutput();
  const identities = $interpolate`arn:${partition}:ses:${region}:${accountId}:identity`;
  return [
    {
      actions: ["ses:SendEmail"],
      resources: [$interpolate`${identities}/${address}`, $interpolate`${identities}/${domain}`],
      conditions: [
        { test: "StringEqualsIgnoreCase", variable: "ses:FromAddress", values: [address] },
      ],
    },
  ];
}
