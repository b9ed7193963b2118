import type { Files } from "./files";
import { mailPermissions } from "./mail";
import type { Network } from "./network";
import { versionsOf, type Parameters } from "./parameters";
import { allow } from "./security-groups";
import { dnsOf, type Settings } from "./settings";
import type { Volume } from "./volume";

/** The port for HTTP and everything else. */
export const HTTP_PORT = 4321;
/**
 * The last of the separate ports for WebSockets, SSE and shards, which clients of four ports
 * expect.
 */
const LAST_PORT = 4324;
const OTHER_PORTS = [4322, 4323, LAST_PORT] as const;
/** A socket may be idle for an hour before the load balancer closes it. */
const IDLE_TIMEOUT_S = 3600;
/**
 * The time that a stopping task gets for requests in progress; ECS kills it after its `stopTimeout`
 * of 30 s at the earliest.
 */
const DEREGISTRATION_DELAY_S = 20;
/** The time for a first start on an empty database, with Aurora just started. */
const START_GRACE_S = 120;
const TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06";

interface ServiceOptions {
  readonly cluster: sst.aws.Cluster;
  readonly network: Network;
  readonly settings: Settings;
  /** The host name of this service's load balancer; default: the stage's domain. */
  readonly domain?: string;
  readonly parameters: Parameters;
  readonly files?: Files;
  readonly volume?: Volume;
  readonly size?: {
    readonly cpu: "0.25 vCPU" | "0.5 vCPU" | "1 vCPU" | "2 vCPU";
    readonly memory: `${number} GB`;
  };
  /**
   * The number of replicas; `single`: exactly one, and never a second one at the same time, not
   * even during a deployment.
   */
  readonly replicas?: { readonly min: number; readonly max: number } | "single";
}

/** Pylon on Fargate behind a load balancer with TLS. */
export function createService(name: string, options: ServiceOptions): sst.aws.Service {
  const { cluster, network, settings, files, volume, parameters } = options;
  const {
    replicas = { min: 1, max: 4 },
    size = { cpu: "0.25 vCPU", memory: "0.5 GB" },
    domain = settings.domain,
  } = options;
  const { min, max } = replicas === "single" ? { min: 1, max: 1 } : replicas;
  const service = new sst.aws.Service(name, {
    cluster,
    ...size,
    architecture: settings.architecture,
    image: { context: ".", dockerfile: "Dockerfile" },
    ...(settings.isProduction ? {} : { capacity: "spot" as const }),
    ...(files === undefined ? {} : { link: [files.bucket] }),
    ...(volume === undefined ? {} : { volumes: [{ efs: volume.efs, path: volume.path }] }),
    permissions: mailPermissions(settings),
    environment: {
      PYLON_LOG_FORMAT: "json",
      PYLON_TRUST_PROXY_HOPS: "1",
      PYLON_PUBLIC_URL: `https://${domain}`,
      PYLON_CORS_ORIGIN: settings.corsOrigin,
      OTEL_RESOURCE_ATTRIBUTES: `deployment.environment.name=${$app.stage}`,
      // A container reads its secrets when it starts. Because of their versions here, a changed
      // value changes the task definition, and so starts new containers.
      PARAMETER_VERSIONS: versionsOf(parameters),
      ...files?.environment,
      ...volume?.environment,
      // Last, so that the stage's own variables take precedence.
      ...settings.variables,
    },
    ssm: Object.fromEntries(
      Object.entries(parameters).map(([variable, { arn }]) => [variable, arn]),
    ),
    // Waits until the service is steady, either with the new containers or, after a rollback, with
    // the old ones: `deployedService` checks which.
    wait: true,
    logging: { name: logGroupOf(name), retention: settings.isProduction ? "3 months" : "1 week" },
    health: {
      command: ["CMD", "pylon", "health"],
      startPeriod: "2 minutes",
      interval: "30 seconds",
      timeout: "10 seconds",
      retries: 3,
    },
    // An idle process uses as much memory as a busy one, so memory does not indicate load.
    scaling: { min, max, cpuUtilization: 70, memoryUtilization: false },
    loadBalancer: {
      domain: { name: domain, dns: dnsOf(settings) },
      rules: [
        { listen: "80/http", redirect: "443/https" },
        { listen: "443/https", forward: "4321/http" },
        { listen: "4322/https", forward: "4322/http" },
        { listen: "4323/https", forward: "4323/http" },
        { listen: "4324/https", forward: "4324/http" },
      ],
      health: Object.fromEntries(
        [HTTP_PORT, ...OTHER_PORTS].map((port) => [`${port}/http`, HEALTH]),
      ),
    },
    transform: {
      loadBalancer: (args) => {
        args.idleTimeout = IDLE_TIMEOUT_S;
        args.dropInvalidHeaderFields = true;
        args.enableDeletionProtection = settings.isProduction;
      },
      loadBalancerSecurityGroup: (args) => {
        args.ingress = [80, 443, ...OTHER_PORTS].map((port) => ({
          fromPort: port,
          toPort: port,
          protocol: "tcp",
          cidrBlocks: ["0.0.0.0/0"],
        }));
        args.egress = [
          {
            fromPort: HTTP_PORT,
            toPort: LAST_PORT,
            protocol: "tcp",
            cidrBlocks: [network.vpc.nodes.vpc.cidrBlock],
          },
        ];
      },
      listener: (args) => {
        if (args.protocol === "HTTPS") args.sslPolicy = TLS_POLICY;
      },
      target: (args) => {
        args.stickiness = { enabled: true, type: "lb_cookie", cookieDuration: 86_400 };
        args.deregistrationDelay = DEREGISTRATION_DELAY_S;
        args.loadBalancingAlgorithmType = "least_outstanding_requests";
      },
      service: (args, opts) => {
        // Autoscaling sets the number; otherwise a deployment under load would start with the
        // minimum.
        opts.ignoreChanges = [...(opts.ignoreChanges ?? []), "desiredCount"];
        args.networkConfiguration = {
          assignPublicIp: network.isPublic,
          subnets: network.subnets,
          securityGroups: [network.tasks.id],
        };
        args.healthCheckGracePeriodSeconds = START_GRACE_S;
        args.propagateTags = "SERVICE";
        if (replicas === "single") {
          args.deploymentMinimumHealthyPercent = 0;
          args.deploymentMaximumPercent = 100;
        }
      },
      executionRole: (args) => {
        args.inlinePolicies = [{ name: "parameters", policy: readingOf(parameters) }];
      },
    },
  });
  const balancerGroup = service.nodes.loadBalancer.securityGroups.apply(([group]) => {
    if (group === undefined) throw new Error(`The load balancer of ${name} has no security group.`);
    return group;
  });
  allow(`${name}FromLoadBalancer`, {
    from: balancerGroup,
    to: network.tasks.id,
    ports: [HTTP_PORT, LAST_PORT],
  });
  return service;
}

/**
 * A predictable name that can be shown after a deployment; SST would create one with random
 * letters.
 */
export function logGroupOf(name: string): string {
  return `/pylon/${$app.name}/${$app.stage}/${name}`;
}

const HEALTH = {
  path: "/health",
  interval: "15 seconds",
  timeout: "5 seconds",
  healthyThreshold: 2,
  unhealthyThreshold: 3,
} as const;

/** Allows ECS to read only these parameters for the container. */
function readingOf(parameters: Parameters): $util.Output<string> {
  return aws.iam.getPolicyDocumentOutput({
    statements: [
      {
        actions: ["ssm:GetParameters"],
        resources: Object.values(parameters).map(({ arn }) => arn),
      },
    ],
  }).json;
}
