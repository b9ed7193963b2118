import { stageEnvironment, type Stages } from "./stages";

/** The host of the domain's DNS records. */
type DnsHost = "aws" | "cloudflare" | "vercel";

/**
 * The settings of a stage from `pylon.stages.ts`, or from the environment where the file has no
 * value. SST reads `.env` and `.env.<stage>` into the environment before it runs this.
 */
export interface Settings {
  readonly isProduction: boolean;
  /** The AWS region, if the file names one. */
  readonly region: string | undefined;
  readonly architecture: "x86_64" | "arm64";
  /** The number of Aurora instances in addition to the first. */
  readonly databaseReplicas: number;
  /** Notices about the source of the settings, for the person who deploys. */
  readonly notices: readonly string[];
  /**
   * The host name of the stage for clients: `api.example.com`, and `pr-42.api.example.com` for the
   * stage `pr-42`.
   */
  readonly domain: string;
  readonly dnsHost: DnsHost;
  /** The DNS zone of the records; only needed for Vercel. */
  readonly dnsZone: string;
  /** The CDN's own host name, or undefined for the one that CloudFront assigns. */
  readonly cdnDomain: string | undefined;
  /** The sites whose pages may call the stage, comma-separated. */
  readonly corsOrigin: string;
  readonly alarmEmail: string | undefined;
  /** The variables whose values are `sst.Secret`s, such as `PYLON_ADMIN_TOKEN`. */
  readonly secrets: readonly string[];
  /** Variables for the server and the app that are not secrets, by name. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Required by every stage: the admin's token, and the key that encrypts second factors and
 * providers' tokens at rest.
 */
const SECRETS_OF_EVERY_APP = ["PYLON_ADMIN_TOKEN", "PYLON_SSO_ENCRYPTION_KEY"];
const DNS_HOSTS: readonly DnsHost[] = ["aws", "cloudflare", "vercel"];
const HOST_NAME = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/;
const VARIABLE = /^[A-Z][A-Z0-9_]*$/;
/**
 * Names that denote a secret by convention, and the server's secrets that are named differently.
 */
const SECRET = new RegExp(
  "(SECRET|TOKEN|KEY|PASSWORD)$|" +
    "^(DATABASE_URL|REDIS_URL|PYLON_SMTP_URL|OTEL_EXPORTER_OTLP_HEADERS)$",
);

/**
 * Reads and checks the settings of a stage.
 *
 * @throws Error that names the variable and its required form
 */
export function readSettings(
  stage: string,
  given: Readonly<Record<string, string | undefined>> = process.env,
  stages?: Stages,
): Settings {
  const {
    values: env,
    region,
    architecture,
    databaseReplicas,
    hasOwnDomain,
    takenDomains,
    notices,
  } = stageEnvironment(stage, given, stages);
  const isProduction = stage === "production";
  const root = hostName(env, "PYLON_DOMAIN");
  if (root === undefined)
    throw new Error(
      `Set the domain of the stage ${stage} in pylon.stages.ts to the name that clients ` +
        'will use, such as domain: "api.example.com": TLS needs one.',
    );
  const cdnRoot = hostName(env, "PYLON_CDN_DOMAIN");
  if (cdnRoot === root)
    throw new Error(
      "PYLON_CDN_DOMAIN equals PYLON_DOMAIN, but CloudFront needs a separate name, such as " +
        "www.example.com in addition to api.example.com.",
    );
  const hasPrefix = !isProduction && !hasOwnDomain;
  const domain = hasPrefix ? `${stage}.${root}` : root;
  const cdnDomain = cdnRoot !== undefined && hasPrefix ? `${stage}.${cdnRoot}` : cdnRoot;
  checkNames(
    stage,
    [domain, cdnDomain],
    [
      ...takenDomains.flatMap((taken) => [taken, shardsDomain(taken)]),
      ...(hasPrefix ? [root, shardsDomain(root), cdnRoot] : []),
    ],
  );
  const secrets = [...new Set([...SECRETS_OF_EVERY_APP, ...names(env, "PYLON_SECRETS")])];
  return {
    isProduction,
    region,
    architecture,
    databaseReplicas,
    notices,
    domain,
    dnsHost: dnsHost(env),
    dnsZone: hostName(env, "PYLON_DNS_ZONE") ?? root.split(".").slice(-2).join("."),
    cdnDomain,
    // Pages on the CDN's own name call the stage.
    corsOrigin:
      text(env, "PYLON_CORS_ORIGIN") ??
      [domain, cdnDomain]
        .filter((name) => name !== undefined)
        .map((name) => `https://${name}`)
        .join(","),
    alarmEmail: text(env, "PYLON_ALARM_EMAIL"),
    secrets,
    variables: Object.fromEntries(
      names(env, "PYLON_VARIABLES").map((name) => [name, required(env, name, secrets)]),
    ),
  };
}

/** Returns the host name of the shards of the stage at this domain. */
export function shardsDomain(domain: string): string {
  return `shards.${domain}`;
}

/** Two stages of the same name would overwrite each other's DNS records. */
function checkNames(
  stage: string,
  own: readonly (string | undefined)[],
  taken: readonly (string | undefined)[],
): void {
  for (const name of own.filter((name) => name !== undefined)) {
    if (!HOST_NAME.test(name))
      throw new Error(
        `The stage "${stage}" would have the address ${name}, which is not a host name: use ` +
          "lower-case letters, digits and - for stages, such as pr-42.",
      );
    if (taken.includes(name))
      throw new Error(
        `The stage "${stage}" would have the address ${name}, which belongs to another ` +
          "stage: choose another name for the stage.",
      );
  }
}

/**
 * The Pulumi providers of a stage: AWS, restricted to the region and the account that
 * `pylon.stages.ts` names, and the provider of the domain's DNS records.
 */
export function stageProviders(
  stage: string,
  given: Readonly<Record<string, string | undefined>> = process.env,
  stages?: Stages,
): Record<string, string | { region?: aws.Region; allowedAccountIds?: string[] }> {
  const { values, region, account } = stageEnvironment(stage, given, stages);
  const aws = {
    ...(region === undefined ? {} : { region: region as aws.Region }),
    ...(account === undefined ? {} : { allowedAccountIds: [account] }),
  };
  return { ...(Object.keys(aws).length === 0 ? {} : { aws }), ...dnsProviders(values) };
}

function dnsProviders(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  switch (dnsHost(env)) {
    case "aws":
      return {};
    case "cloudflare":
      return { cloudflare: "6.15.0" };
    case "vercel":
      return { "@pulumiverse/vercel": "4.6.0" };
  }
}

/** The adapter that creates the DNS records and validates the certificates. */
export function dnsOf({
  dnsHost,
  dnsZone,
}: Settings):
  | ReturnType<typeof sst.aws.dns>
  | ReturnType<typeof sst.cloudflare.dns>
  | ReturnType<typeof sst.vercel.dns> {
  switch (dnsHost) {
    case "aws":
      return sst.aws.dns();
    case "cloudflare":
      return sst.cloudflare.dns();
    case "vercel":
      return sst.vercel.dns({ domain: dnsZone });
  }
}

function dnsHost(env: Readonly<Record<string, string | undefined>>): DnsHost {
  const given = text(env, "PYLON_DNS") ?? "aws";
  const host = DNS_HOSTS.find((known) => known === given);
  if (host === undefined)
    throw new Error(`PYLON_DNS is "${given}", but must be one of ${DNS_HOSTS.join(", ")}.`);
  return host;
}

function hostName(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): string | undefined {
  const given = text(env, name);
  if (given !== undefined && !HOST_NAME.test(given))
    throw new Error(
      `${name} is "${given}", but must be a host name in lower case without https://, such as ` +
        "api.example.com.",
    );
  return given;
}

const EXAMPLES = {
  PYLON_SECRETS: "PYLON_OAUTH_GITHUB_CLIENT_SECRET,PYLON_SMTP_URL",
  PYLON_VARIABLES: "PYLON_OAUTH_GITHUB_CLIENT_ID,PYLON_EMAIL_FROM",
};

function names(
  env: Readonly<Record<string, string | undefined>>,
  list: keyof typeof EXAMPLES,
): string[] {
  const given = (env[list] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const wrong = given.find((name) => !VARIABLE.test(name));
  if (wrong !== undefined)
    throw new Error(
      `${list} names "${wrong}": use names of variables separated by commas, such as ` +
        `${EXAMPLES[list]}.`,
    );
  return given;
}

/**
 * @throws Error for a variable without a value, and for a secret, which everyone with access to the
 * task definition could read
 */
function required(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  secrets: readonly string[],
): string {
  if (SECRET.test(name)) {
    throw new Error(
      `PYLON_VARIABLES contains ${name}, which is a secret and would be plain text in the task ` +
        "definition: add it to PYLON_SECRETS, and set its value with `pylon secrets set " +
        `${name}\`.`,
    );
  }
  if (secrets.includes(name))
    throw new Error(
      `PYLON_VARIABLES and PYLON_SECRETS both contain ${name}: remove it from one of them.`,
    );
  const given = text(env, name);
  if (given === undefined)
    throw new Error(
      `PYLON_VARIABLES contains ${name}, but it has no value: set it in .env or .env.<stage>.`,
    );
  return given;
}

/** An empty variable counts as not set. */
function text(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const given = env[name]?.trim();
  return given === "" ? undefined : given;
}
