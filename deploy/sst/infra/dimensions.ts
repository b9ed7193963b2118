import { HTTP_PORT } from "./service";

interface Dimensions {
  readonly cluster: $util.Output<string>;
  readonly service: $util.Output<string>;
  readonly loadBalancer: $util.Output<string>;
  /** The target group of the port that serves everything. */
  readonly targetGroup: $util.Output<string>;
}

/** The names of a service and its load balancer in CloudWatch. */
export function dimensionsOf({ nodes }: sst.aws.Service): Dimensions {
  return {
    cluster: nodes.service.cluster.apply((arn) => arn.split("/").at(-1) ?? arn),
    service: nodes.service.name,
    loadBalancer: nodes.loadBalancer.arnSuffix,
    targetGroup: nodes.service.loadBalancers.apply((targets) =>
      suffixOf(targets?.find(({ containerPort }) => containerPort === HTTP_PORT)?.targetGroupArn),
    ),
  };
}

/** Returns `targetgroup/name/0123` of its ARN. */
function suffixOf(targetGroupArn: string | undefined): string {
  const suffix = targetGroupArn?.split(":").at(-1);
  if (suffix === undefined)
    throw new Error(`The service has no target group for port ${HTTP_PORT}.`);
  return suffix;
}
