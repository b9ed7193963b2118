/** Half of what a container of 0.25 vCPU and 0.5 GB was seen to hold, so that the replicas left can take over those of one that is lost. */
const CONNECTIONS_PER_TASK = 5000;

/**
 * More replicas for more open connections: idle sockets use memory and hardly any CPU, so that scaling by CPU alone would never see them.
 * The load balancer counts each connection twice, once from the client and once to the container.
 */
export function scaleByConnections(name: string, service: sst.aws.Service): void {
  const { autoScalingTarget, loadBalancer } = service.nodes;
  const balancer = { name: "LoadBalancer", value: loadBalancer.arnSuffix };
  const targets = { name: "TargetGroup", value: service.nodes.service.loadBalancers.apply((targets) => suffixOf(targets?.[0]?.targetGroupArn)) };
  new aws.appautoscaling.Policy(`${name}ConnectionScaling`, {
    policyType: "TargetTrackingScaling",
    serviceNamespace: autoScalingTarget.serviceNamespace,
    scalableDimension: autoScalingTarget.scalableDimension,
    resourceId: autoScalingTarget.resourceId,
    targetTrackingScalingPolicyConfiguration: {
      targetValue: CONNECTIONS_PER_TASK * 2,
      scaleOutCooldown: 60,
      scaleInCooldown: 600,
      customizedMetricSpecification: {
        metrics: [
          { id: "connections", returnData: false, metricStat: metric("ActiveConnectionCount", "Sum", [balancer]) },
          { id: "tasks", returnData: false, metricStat: metric("HealthyHostCount", "Average", [balancer, targets]) },
          { id: "perTask", label: "Connections per task", expression: "connections / tasks", returnData: true },
        ],
      },
    },
  });
}

interface Dimension {
  readonly name: string;
  readonly value: $util.Input<string>;
}

function metric(metricName: string, stat: string, dimensions: Dimension[]) {
  return { stat, metric: { namespace: "AWS/ApplicationELB", metricName, dimensions } };
}

/** `targetgroup/name/0123`, by which CloudWatch knows the group. */
function suffixOf(targetGroupArn: string | undefined): string {
  const suffix = targetGroupArn?.split(":").at(-1);
  if (suffix === undefined) throw new Error("The service has no target group.");
  return suffix;
}
