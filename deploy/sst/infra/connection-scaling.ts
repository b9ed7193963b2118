import { dimensionsOf } from "./dimensions";

/**
 * Half of the measured capacity of a container with 0.25 vCPU and 0.5 GB, so that the other
 * replicas can take over the connections of a lost one.
 */
const CONNECTIONS_PER_TASK = 5000;

/**
 * Adds replicas for more open connections: idle sockets use memory and hardly any CPU, so scaling
 * by CPU alone would never react to them. The load balancer counts each connection twice, once from
 * the client and once to the container. The number of containers is the sample count of ECS's CPU
 * metric, which has one sample a minute for each running container: the load balancer's own count
 * of healthy ones is per zone.
 */
export function scaleByConnections(name: string, service: sst.aws.Service): void {
  const { autoScalingTarget, loadBalancer } = service.nodes;
  const balancer = { name: "LoadBalancer", value: loadBalancer.arnSuffix };
  const { cluster, service: serviceName } = dimensionsOf(service);
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
          {
            id: "connections",
            returnData: false,
            metricStat: metric("AWS/ApplicationELB", "ActiveConnectionCount", "Sum", [balancer]),
          },
          {
            id: "tasks",
            returnData: false,
            metricStat: metric("AWS/ECS", "CPUUtilization", "SampleCount", [
              { name: "ClusterName", value: cluster },
              { name: "ServiceName", value: serviceName },
            ]),
          },
          {
            id: "perTask",
            label: "Connections per task",
            expression: "connections / tasks",
            returnData: true,
          },
        ],
      },
    },
  });
}

interface Dimension {
  readonly name: string;
  readonly value: $util.Input<string>;
}

function metric(namespace: string, metricName: string, stat: string, dimensions: Dimension[]) {
  return { stat, metric: { namespace, metricName, dimensions } };
}
