import { join } from "node:path";
import type { Evaluation, Resource } from "./platform.ts";

export const FILES = join(import.meta.dir, "..");
export const VERSIONS = ["3.19.3", "4.17.1"];
export const SHAPES = [
  "sst.config.ts",
  "sst.config.efs.ts",
  "sst.config.redis.ts",
  "sst.config.shards.ts",
  "sst.config.nat-less.ts",
];
export const SECRETS = {
  SST_SECRET_PylonAdminToken: "the-admins-token",
  SST_SECRET_PylonSsoEncryptionKey: "the-encryption-key-of-forty-characters-or-so",
  SST_SECRET_PylonOauthGithubClientSecret: "the-github-secret",
};
export const ENV = {
  PYLON_DOMAIN: "api.example.com",
  PYLON_SECRETS: "PYLON_OAUTH_GITHUB_CLIENT_SECRET",
  PYLON_VARIABLES: "PYLON_OAUTH_GITHUB_CLIENT_ID",
  PYLON_OAUTH_GITHUB_CLIENT_ID: "Iv1.0123",
  ...SECRETS,
};
/** The random password of the mocks, as it is and as it is encoded in a URL. */
export const PASSWORDS = ["p@ss/word:of the proof", encodeURIComponent("p@ss/word:of the proof")];
export const PORTS = [4321, 4322, 4323, 4324];

/**
 * The places that must hold secrets: the parameter, the component that generates it, and Aurora.
 */
export const HOLDERS_OF_SECRETS = [
  "aws:ssm/parameter:Parameter",
  "aws:secretsmanager/secretVersion:SecretVersion",
  "aws:rds/cluster:Cluster",
  "sst:sst:Secret",
  "sst:sst:LinkRef",
];
/** The mark of a value that Pulumi encrypts in its state. */
const SECRET_MARK = "4dabf18193072939515e22adb298388d";

export interface Container {
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly secrets: readonly { readonly name: string; readonly valueFrom: string }[];
  readonly mountPoints?: readonly { readonly containerPath: string }[];
  readonly healthCheck: { readonly command: readonly string[] };
}

/** The resources that a deployment of a stage requested from AWS. */
export class Stage {
  readonly app: Evaluation["app"];
  readonly resources: readonly Resource[];
  readonly outputs: Evaluation["outputs"];

  constructor(evaluation: Evaluation) {
    ({ app: this.app, resources: this.resources, outputs: this.outputs } = evaluation);
  }

  all(type: string): readonly Resource[] {
    // In SST 3, the type names of some S3 resources end with V2.
    return this.resources.filter((resource) => resource.type.replaceAll("V2", "") === type);
  }

  count(type: string): number {
    return this.all(type).length;
  }

  /** @throws Error if there is none, or more than one of that type and name */
  one(type: string, name?: string): Resource["inputs"] {
    const [found, ...others] = this.all(type).filter(
      (resource) => name === undefined || resource.name === name,
    );
    if (found === undefined || others.length > 0)
      throw new Error(`${others.length + (found === undefined ? 0 : 1)} of ${type} ${name ?? ""}`);
    return found.inputs;
  }

  /** Whether the only resource of the type outlives the removal of its stage. */
  retained(type: string): boolean {
    this.one(type);
    return this.all(type)[0]?.retainOnDelete === true;
  }

  rulesInto(group: string): { from: unknown; ports: unknown[]; protocol: unknown }[] {
    return this.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
      .filter(({ inputs }) => inputs["securityGroupId"] === group)
      .map(({ inputs }) => ({
        from: inputs["referencedSecurityGroupId"],
        ports: [inputs["fromPort"], inputs["toPort"]],
        protocol: inputs["ipProtocol"],
      }));
  }

  /** The complete environment of each of our containers, including the values of its secrets. */
  environments(): Record<string, string>[] {
    const parameters = this.all("aws:ssm/parameter:Parameter");
    const valueAt = (arn: string): string =>
      valueOf(parameters.find(({ name }) => arn.endsWith(`/${name}`))?.inputs["value"]);
    return this.containers().map(({ environment, secrets }) =>
      Object.fromEntries([
        ...environment.map(({ name, value }) => [name, value]),
        ...secrets.map(({ name, valueFrom }) => [name, valueAt(valueFrom)]),
      ]),
    );
  }

  containers(): Container[] {
    return this.all("aws:ecs/taskDefinition:TaskDefinition").flatMap(
      ({ inputs }) => JSON.parse(valueOf(inputs["containerDefinitions"])) as Container[],
    );
  }
}

export function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && SECRET_MARK in value;
}

export function valueOf(value: unknown): string {
  return typeof value === "string" ? value : (value as { value: string }).value;
}

export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: readonly {
    readonly variable: string;
    readonly values: readonly string[];
  }[];
}

export function statementsOf(role: Resource["inputs"]): Statement[] {
  const policies = role["inlinePolicies"] as { policy: string }[];
  return policies.flatMap(
    ({ policy }) => (JSON.parse(valueOf(policy)) as { Statement: Statement[] }).Statement,
  );
}

type EdgeValues = Readonly<Record<string, { readonly value: string }>>;

interface EdgeEvent {
  readonly request?: {
    readonly uri: string;
    readonly headers: EdgeValues;
    readonly querystring: EdgeValues;
  };
  readonly response?: { readonly headers: EdgeValues; readonly cookies: EdgeValues };
}

/** Makes a function of CloudFront callable here. */
export function edgeFunction(code: string): (event: EdgeEvent) => unknown {
  // The code is from this repository, and CloudFront evaluates it in the same way.
  // eslint-disable-next-line typescript/no-implied-eval
  return new Function(`${code}; return handler;`)() as (event: EdgeEvent) => unknown;
}
