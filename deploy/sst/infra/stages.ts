import stages from "../pylon.stages";

/** The settings of a stage. Missing and empty values are taken from the environment. */
export interface StageDefinition {
  /**
   * The AWS region, such as `eu-central-1`: an `AWS_REGION` on another machine then has no effect.
   */
  readonly region?: string;
  /** The account's number: with the credentials of another account nothing is deployed. */
  readonly account?: string;
  /** The host name that clients use: `api.example.com`. */
  readonly domain?: string;
  /** The CDN's own host name. */
  readonly cdnDomain?: string;
  /** The host of the domain's DNS records; default `aws`. */
  readonly dns?: "aws" | "cloudflare" | "vercel";
  /** The DNS zone of the records; only needed for Vercel. */
  readonly dnsZone?: string;
  /** The sites whose pages may call the stage; default: its own. */
  readonly corsOrigins?: readonly string[];
  /**
   * The processor architecture of the containers; default `x86_64`. The image is built for it:
   * `arm64` costs less.
   */
  readonly architecture?: "x86_64" | "arm64";
  /**
   * The number of additional Aurora instances, from 0 to 15, default 0: with one in another zone, a
   * failure of the first instance is over in about a minute instead of ten.
   */
  readonly databaseReplicas?: number;
  /** The recipient of the alarms. */
  readonly alarmEmail?: string;
  /** The names of variables whose values are secrets. */
  readonly secrets?: readonly string[];
  /** Variables for the server and the app that are not secrets, with their values. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Stages by name. `others` applies to every stage that is not named. */
export type Stages = Readonly<Record<string, StageDefinition>>;

type Environment = Readonly<Record<string, string | undefined>>;

export interface StageEnvironment {
  /** The environment, overridden by the values of the file. */
  readonly values: Environment;
  readonly region: string | undefined;
  readonly account: string | undefined;
  readonly architecture: "x86_64" | "arm64";
  readonly databaseReplicas: number;
  /** Whether the stage's own definition names its domain, which then needs no prefix. */
  readonly hasOwnDomain: boolean;
  /** The domains that the file assigns to other stages. */
  readonly takenDomains: readonly string[];
  /** Values of the environment that are not used, or should be in the file. */
  readonly notices: readonly string[];
}

const FILE = "pylon.stages.ts";
const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;
const ARCHITECTURES = ["x86_64", "arm64"];
const ACCOUNT = /^\d{12}$/;

/**
 * The settings of a stage as variables: the file takes precedence, so that a stage is the same from
 * every machine and shell.
 *
 * @throws Error for a stage that is not in the file, and for a region or account of the wrong form
 */
export function stageEnvironment(
  stage: string,
  env: Environment,
  defined: Stages = stages,
): StageEnvironment {
  const named = new Map(Object.entries(defined).filter(([, definition]) => isDefined(definition)));
  const definition = named.get(stage === "others" ? "" : stage) ?? named.get("others");
  if (named.size > 0 && definition === undefined)
    throw new Error(
      `There is no stage "${stage}" in ${FILE}, which has ${[...named.keys()].join(", ")}: ` +
        'add it, or "others" for stages such as pr-42.',
    );
  const {
    region,
    account,
    architecture = "x86_64",
    databaseReplicas = 0,
    ...rest
  } = definition ?? {};
  checkForm("region", region, REGION, "eu-central-1");
  checkForm("account", account, ACCOUNT, "123456789012");
  if (!ARCHITECTURES.includes(architecture))
    throw new Error(
      `${FILE} has the architecture "${architecture}", ` +
        `but it must be ${ARCHITECTURES.join(" or ")}.`,
    );
  if (!(Number.isInteger(databaseReplicas) && databaseReplicas >= 0 && databaseReplicas <= 15))
    throw new Error(
      `${FILE} has ${databaseReplicas} databaseReplicas, ` +
        "but a cluster can have 0 to 15 in addition to the first instance.",
    );
  const fromFile = variablesOf(rest);
  return {
    values: { ...env, ...fromFile },
    region: given(region),
    account: given(account),
    architecture,
    databaseReplicas,
    hasOwnDomain: named.has(stage) && given(named.get(stage)?.domain) !== undefined,
    takenDomains: [...named].flatMap(([name, { domain }]) =>
      name === stage || name === "others" ? [] : (given(domain) ?? []),
    ),
    notices: [
      ...noticesOf(stage, env, fromFile),
      ...(given(region) !== undefined && given(env["AWS_REGION"]) !== undefined
        ? differing("AWS_REGION", env["AWS_REGION"], region)
        : []),
    ],
  };
}

function isDefined(definition: StageDefinition): boolean {
  return Object.values(definition).some((value) => value !== undefined && value !== "");
}

function checkForm(name: string, value: string | undefined, form: RegExp, example: string): void {
  if (given(value) !== undefined && !form.test(value ?? ""))
    throw new Error(`${FILE} has an invalid ${name} "${value ?? ""}": use the form ${example}.`);
}

function variablesOf(definition: StageDefinition): Environment {
  const { variables = {} } = definition;
  const settings: Environment = {
    PYLON_DOMAIN: definition.domain,
    PYLON_CDN_DOMAIN: definition.cdnDomain,
    PYLON_DNS: definition.dns,
    PYLON_DNS_ZONE: definition.dnsZone,
    PYLON_CORS_ORIGIN: definition.corsOrigins?.join(","),
    PYLON_ALARM_EMAIL: definition.alarmEmail,
    PYLON_SECRETS: definition.secrets?.join(","),
    PYLON_VARIABLES: Object.keys(variables).join(","),
    ...variables,
  };
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => given(value) !== undefined),
  );
}

/** Variables that define a stage, whether set in the file or in the environment. */
const SETTINGS = [
  "PYLON_DOMAIN",
  "PYLON_CDN_DOMAIN",
  "PYLON_DNS",
  "PYLON_DNS_ZONE",
  "PYLON_ALARM_EMAIL",
  "PYLON_SECRETS",
  "PYLON_VARIABLES",
];

function noticesOf(stage: string, env: Environment, fromFile: Environment): string[] {
  const ignored = Object.entries(fromFile).flatMap(([name, value]) =>
    given(env[name]) === undefined ? [] : differing(name, env[name], value),
  );
  const elsewhere = SETTINGS.filter(
    (name) => fromFile[name] === undefined && given(env[name]) !== undefined,
  );
  return [
    ...ignored,
    ...(elsewhere.length === 0
      ? []
      : [
          `${elsewhere.join(", ")} of the stage ${stage} ` +
            `${elsewhere.length === 1 ? "is" : "are"} in this machine's environment or .env ` +
            `alone: write ${elsewhere.length === 1 ? "it" : "them"} into ${FILE}, or another ` +
            "machine deploys something else.",
        ]),
  ];
}

function differing(name: string, found: string | undefined, used: string | undefined): string[] {
  return found?.trim() === used
    ? []
    : [
        `${name} is "${found ?? ""}" in the environment, and ${FILE} says "${used ?? ""}", ` +
          "which is used.",
      ];
}

/** An empty value counts as missing. */
function given(value: string | undefined): string | undefined {
  const trimmed = value?.trim();
  return trimmed === "" ? undefined : trimmed;
}
