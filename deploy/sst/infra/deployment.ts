import { logGroupOf } from "./service";

/**
 * Returns the name of the service, once it serves the new deployment. ECS rolls back a deployment
 * whose containers do not become healthy, and then reports a steady state too, which is all that
 * Pulumi waits for.
 *
 * @param name of the component
 * @returns an output that fails, and the deployment with it, if ECS rolled back to another version
 */
export function deployedService(name: string, { nodes }: sst.aws.Service): $util.Output<string> {
  const { service, taskDefinition } = nodes;
  // A preview would compare the running containers with those that do not exist yet.
  if ($util.runtime.isDryRun()) return service.name;
  const found = aws.ecs.getServiceOutput({
    clusterArn: service.cluster,
    serviceName: service.name,
  });
  return $util
    .all([service.name, taskDefinition.arn, found.taskDefinition])
    .apply(([serviceName, made, served]) => {
      if (made === served) return serviceName;
      throw new Error(
        `ECS rolled back the deployment of ${name}, because its new containers did not become ` +
          `healthy: ${revisionOf(served)} is running instead of ${revisionOf(made)}. ` +
          `Their log: aws logs tail ${logGroupOf(name)} --since 1h`,
      );
    });
}

/** Returns `family:7` of `arn:aws:ecs:us-east-1:123456789012:task-definition/family:7`. */
function revisionOf(taskDefinition: string): string {
  return taskDefinition.split("/").at(-1) ?? taskDefinition;
}
