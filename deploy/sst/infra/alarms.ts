import type { Cache } from "./cache";
import type { Database } from "./database";
import { dimensionsOf } from "./dimensions";
import { notifyFailedDeployments } from "./failed-deployments";
import type { Settings } from "./settings";
import type { Volume } from "./volume";

/**
 * The default of `PYLON_DATABASE_POOL`. Each replica has more connections: one each for listening,
 * reading the change log, `/readyz` and maintenance, and without Redis some for rooms.
 */
const POOL = 10;
const OWN = 4;
const ROOMS = 5;
/** For a shell with `pylon migrate`, and for manual access to the database. */
const MANUAL = 4;

interface Alarm {
  readonly what: string;
  readonly namespace: string;
  readonly metric: string;
  readonly dimensions: Readonly<Record<string, $util.Input<string>>>;
  /** `p99` is a percentile, the others are statistics of CloudWatch. */
  readonly statistic: "Average" | "Sum" | "Maximum" | "p99";
  readonly above?: $util.Input<number>;
  readonly below?: number;
  /** The number of consecutive periods. */
  readonly periods: $util.Input<number>;
  /** The length of a period, in minutes. */
  readonly period?: number;
  /** Whether missing data also raises the alarm. */
  readonly alarmsWithoutData?: boolean;
}

/** The parts of a stage that have alarms. */
interface Watched {
  /** By the name of the component. */
  readonly services: Readonly<Record<string, sst.aws.Service>>;
  readonly database?: Database;
  readonly cache?: Cache;
  readonly volume?: Volume;
}

/**
 * Notifies the stage's operators of problems. Production always has alarms; other stages have them
 * if an alarmEmail is set.
 *
 * @returns the recipient of the alarms, for the outputs of the deployment
 */
export function createAlarms(
  settings: Settings,
  { services, database, cache, volume }: Watched,
): string {
  const { isProduction, alarmEmail } = settings;
  if (!isProduction && alarmEmail === undefined) return "none: set alarmEmail in pylon.stages.ts";
  const topic = new aws.sns.Topic("Alarms");
  if (alarmEmail !== undefined)
    new aws.sns.TopicSubscription("AlarmEmail", {
      topic: topic.arn,
      protocol: "email",
      endpoint: alarmEmail,
    });
  notifyFailedDeployments(topic, services);
  const alarms: Readonly<Record<string, Alarm>> = {
    ...Object.fromEntries(
      Object.entries(services).flatMap(([name, service]) =>
        Object.entries(alarmsOfService(name, service)),
      ),
    ),
    ...(database === undefined
      ? {}
      : alarmsOfDatabase(database, connectionsOf(settings, services, cache))),
    ...(cache === undefined ? {} : alarmsOfCache(cache)),
    ...(volume === undefined ? {} : alarmsOfVolume(volume)),
  };
  for (const [
    name,
    {
      what,
      namespace,
      metric,
      dimensions,
      statistic,
      above,
      below,
      periods,
      period = 1,
      alarmsWithoutData = false,
    },
  ] of Object.entries(alarms)) {
    new aws.cloudwatch.MetricAlarm(`${name}Alarm`, {
      alarmDescription: `${$app.name} ${$app.stage}: ${what}`,
      namespace,
      metricName: metric,
      dimensions,
      ...(statistic === "p99" ? { extendedStatistic: statistic } : { statistic }),
      comparisonOperator: below === undefined ? "GreaterThanThreshold" : "LessThanThreshold",
      threshold: below ?? above,
      period: period * 60,
      evaluationPeriods: periods,
      treatMissingData: alarmsWithoutData ? "breaching" : "notBreaching",
      alarmActions: [topic.arn],
      okActions: [topic.arn],
    });
  }
  if (alarmEmail === undefined)
    return "without a recipient: set alarmEmail in pylon.stages.ts and deploy again";
  return `to ${alarmEmail}, after the subscription is confirmed by the link in the email from AWS`;
}

function alarmsOfService(name: string, service: sst.aws.Service): Record<string, Alarm> {
  const { cluster, service: serviceName, loadBalancer, targetGroup } = dimensionsOf(service);
  const balancer = { namespace: "AWS/ApplicationELB", dimensions: { LoadBalancer: loadBalancer } };
  const tasks = {
    namespace: "AWS/ECS",
    dimensions: { ClusterName: cluster, ServiceName: serviceName },
  };
  // With at most one container, a deployment stops the old one before it starts the new one, which
  // takes minutes.
  const periodsWithoutReplica = service.nodes.autoScalingTarget.maxCapacity.apply((most) =>
    most === 1 ? 10 : 3,
  );
  const alarms: Record<string, Alarm> = {
    // The load balancer counts per zone, so one zone with a container is enough; without any
    // container it reports no data.
    NoReplica: {
      ...balancer,
      dimensions: { ...balancer.dimensions, TargetGroup: targetGroup },
      what: `no container of ${name} is healthy`,
      metric: "HealthyHostCount",
      statistic: "Maximum",
      below: 1,
      periods: periodsWithoutReplica,
      alarmsWithoutData: true,
    },
    ServerErrors: {
      ...balancer,
      what: `${name} sent more than 10 responses with status 5xx per minute`,
      metric: "HTTPCode_Target_5XX_Count",
      statistic: "Sum",
      above: 10,
      periods: 5,
    },
    // An app with little traffic at night has few failures as well.
    LastingErrors: {
      ...balancer,
      what: `${name} sent responses with status 5xx during each ten minutes of an hour`,
      metric: "HTTPCode_Target_5XX_Count",
      statistic: "Sum",
      above: 0,
      periods: 6,
      period: 10,
    },
    BalancerErrors: {
      ...balancer,
      what: `the load balancer of ${name} received no response from a container`,
      metric: "HTTPCode_ELB_5XX_Count",
      statistic: "Sum",
      above: 10,
      periods: 2,
    },
    Latency: {
      ...balancer,
      what: `1 % of the requests to ${name} took longer than a second`,
      metric: "TargetResponseTime",
      statistic: "p99",
      above: 1,
      periods: 10,
    },
    TaskCpu: {
      ...tasks,
      what: `the CPU usage of the containers of ${name} is above 90 %`,
      metric: "CPUUtilization",
      statistic: "Average",
      above: 90,
      periods: 10,
    },
    TaskMemory: {
      ...tasks,
      what: `the memory usage of a container of ${name} is above 85 %`,
      metric: "MemoryUtilization",
      statistic: "Maximum",
      above: 85,
      periods: 10,
    },
  };
  return Object.fromEntries(
    Object.entries(alarms).map(([alarm, value]) => [`${name}${alarm}`, value]),
  );
}

function alarmsOfDatabase(
  { aurora }: Database,
  connections: $util.Output<number>,
): Record<string, Alarm> {
  const cluster = { namespace: "AWS/RDS", dimensions: { DBClusterIdentifier: aurora.id } };
  return {
    DatabaseCapacity: {
      ...cluster,
      what: "Aurora uses more than 90 % of its maximum capacity units",
      metric: "ACUUtilization",
      statistic: "Average",
      above: 90,
      periods: 10,
    },
    // Longer than a deployment runs the old and the new containers at the same time.
    DatabaseConnections: {
      ...cluster,
      what: "Aurora has more connections than all containers together may open",
      metric: "DatabaseConnections",
      statistic: "Maximum",
      above: connections,
      periods: 30,
    },
  };
}

/** The maximum number of connections of all containers, plus some for manual access. */
function connectionsOf(
  { variables }: Settings,
  services: Readonly<Record<string, sst.aws.Service>>,
  cache: Cache | undefined,
): $util.Output<number> {
  const perReplica =
    Number(variables["PYLON_DATABASE_POOL"] ?? POOL) + OWN + (cache === undefined ? ROOMS : 0);
  const replicas = Object.values(services).map(({ nodes }) => nodes.autoScalingTarget.maxCapacity);
  return $util
    .all(replicas)
    .apply((most) => most.reduce((sum, count) => sum + count * perReplica, MANUAL));
}

function alarmsOfCache({ redis }: Cache): Record<string, Alarm> {
  const only = redis.nodes.cluster.memberClusters.apply(([first]) => first ?? "");
  const node = { namespace: "AWS/ElastiCache", dimensions: { CacheClusterId: only } };
  return {
    CacheMemory: {
      ...node,
      what: "Valkey uses more than 80 % of its memory",
      metric: "DatabaseMemoryUsagePercentage",
      statistic: "Maximum",
      above: 80,
      periods: 10,
    },
    CacheEvictions: {
      ...node,
      what: "Valkey evicts keys because its memory is full",
      metric: "Evictions",
      statistic: "Sum",
      above: 0,
      periods: 5,
    },
  };
}

/** SST creates file systems with elastic throughput, which have no burst credits to run out of. */
function alarmsOfVolume({ efs }: Volume): Record<string, Alarm> {
  return {
    VolumeIo: {
      namespace: "AWS/EFS",
      dimensions: { FileSystemId: efs.id },
      what: "the file system uses more than 90 % of the I/O limit of EFS",
      metric: "PercentIOLimit",
      statistic: "Maximum",
      above: 90,
      periods: 10,
    },
  };
}
