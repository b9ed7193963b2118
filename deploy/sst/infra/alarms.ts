import type { Database } from "./database";
import type { Settings } from "./settings";

interface Alarm {
  readonly what: string;
  readonly namespace: string;
  readonly metric: string;
  readonly dimensions: Readonly<Record<string, $util.Input<string>>>;
  /** `p99` is a percentile, the others are statistics of CloudWatch. */
  readonly statistic: "Average" | "Sum" | "Maximum" | "p99";
  readonly above: number;
  /** How many minutes in a row. */
  readonly minutes: number;
}

/** Tells the stage's people when it is not well. Production always has its alarms; other stages where PYLON_ALARM_EMAIL asks for them. */
export function createAlarms(service: sst.aws.Service, settings: Settings, database?: Database): void {
  if (!settings.isProduction && settings.alarmEmail === undefined) return;
  const topic = new aws.sns.Topic("Alarms");
  if (settings.alarmEmail !== undefined) new aws.sns.TopicSubscription("AlarmEmail", { topic: topic.arn, protocol: "email", endpoint: settings.alarmEmail });
  const alarms = { ...alarmsOfService(service), ...(database === undefined ? {} : alarmsOfDatabase(database)) };
  for (const [name, { what, namespace, metric, dimensions, statistic, above, minutes }] of Object.entries(alarms)) {
    new aws.cloudwatch.MetricAlarm(`${name}Alarm`, {
      alarmDescription: `${$app.name} ${$app.stage}: ${what}`,
      namespace,
      metricName: metric,
      dimensions,
      ...(statistic === "p99" ? { extendedStatistic: statistic } : { statistic }),
      comparisonOperator: "GreaterThanThreshold",
      threshold: above,
      period: 60,
      evaluationPeriods: minutes,
      treatMissingData: "notBreaching",
      alarmActions: [topic.arn],
      okActions: [topic.arn],
    });
  }
}

function alarmsOfService({ nodes }: sst.aws.Service): Record<string, Alarm> {
  const balancer = { namespace: "AWS/ApplicationELB", dimensions: { LoadBalancer: nodes.loadBalancer.arnSuffix } };
  const tasks = {
    namespace: "AWS/ECS",
    dimensions: { ClusterName: nodes.service.cluster.apply((arn) => arn.split("/").at(-1) ?? arn), ServiceName: nodes.service.name },
  };
  return {
    ServerErrors: { ...balancer, what: "more than 10 answers in a minute were a 5xx", metric: "HTTPCode_Target_5XX_Count", statistic: "Sum", above: 10, minutes: 5 },
    NoReplica: { ...balancer, what: "the load balancer had nobody to ask", metric: "HTTPCode_ELB_5XX_Count", statistic: "Sum", above: 10, minutes: 2 },
    Latency: { ...balancer, what: "one request in a hundred took longer than a second", metric: "TargetResponseTime", statistic: "p99", above: 1, minutes: 10 },
    TaskCpu: { ...tasks, what: "the containers' CPU is above 90 %", metric: "CPUUtilization", statistic: "Average", above: 90, minutes: 10 },
    TaskMemory: { ...tasks, what: "the containers' memory is above 85 %", metric: "MemoryUtilization", statistic: "Maximum", above: 85, minutes: 10 },
  };
}

function alarmsOfDatabase({ aurora }: Database): Record<string, Alarm> {
  const cluster = { namespace: "AWS/RDS", dimensions: { DBClusterIdentifier: aurora.id } };
  return {
    DatabaseCapacity: { ...cluster, what: "Aurora is at more than 90 % of its units", metric: "ACUUtilization", statistic: "Average", above: 90, minutes: 10 },
    DatabaseConnections: { ...cluster, what: "more than 150 connections to Aurora", metric: "DatabaseConnections", statistic: "Maximum", above: 150, minutes: 5 },
  };
}
