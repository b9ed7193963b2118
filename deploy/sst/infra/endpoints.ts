import { allow, createGroup } from "./security-groups";

/**
 * The services that ECS needs to start a container with its image, secrets and logs, and that `ecs
 * execute-command` needs to open a shell in it.
 */
const SERVICES = ["ecr.api", "ecr.dkr", "logs", "ssm", "ssmmessages"];

/** Makes S3 and AWS's services reachable from private subnets, without the internet. */
export function createEndpoints(vpc: sst.aws.Vpc, tasks: aws.ec2.SecurityGroup): void {
  const region = aws.getRegionOutput().name;
  const group = createGroup("EndpointGroup", vpc, "VPC endpoints that the containers use");
  allow("EndpointsFromTasks", { from: tasks.id, to: group.id, ports: [443] });
  for (const service of SERVICES) {
    new aws.ec2.VpcEndpoint(`Endpoint${service.split(/\W/).map(capital).join("")}`, {
      vpcId: vpc.id,
      vpcEndpointType: "Interface",
      serviceName: $interpolate`com.amazonaws.${region}.${service}`,
      subnetIds: vpc.privateSubnets,
      securityGroupIds: [group.id],
      privateDnsEnabled: true,
    });
  }
  new aws.ec2.VpcEndpoint("EndpointS3", {
    vpcId: vpc.id,
    vpcEndpointType: "Gateway",
    serviceName: $interpolate`com.amazonaws.${region}.s3`,
    routeTableIds: vpc.nodes.privateRouteTables.apply((tables) =>
      $util.all(tables.map(({ id }) => id)),
    ),
  });
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
