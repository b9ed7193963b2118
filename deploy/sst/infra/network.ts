import { createEndpoints } from "./endpoints";
import { allowOut, createGroup } from "./security-groups";

export interface Network {
  readonly vpc: sst.aws.Vpc;
  /**
   * The security group of the containers: it may connect to the database, and only the load
   * balancer may connect to it.
   */
  readonly tasks: aws.ec2.SecurityGroup;
  /** The subnets of the containers. */
  readonly subnets: sst.aws.Vpc["publicSubnets"];
  /**
   * Whether the containers have public addresses, which they need for outgoing connections if there
   * are neither NAT nor endpoints.
   */
  readonly isPublic: boolean;
}

/**
 * The network of a stage, without a NAT gateway, which would cost more than everything else
 * together.
 *
 * `public` gives each container a public address; its security group accepts only the load
 * balancer. `endpoints` keeps the containers on private addresses and reaches AWS's services
 * through VPC endpoints; nothing else on the internet can be reached then.
 */
export function createNetwork(reach: "public" | "endpoints" = "public"): Network {
  const vpc = new sst.aws.Vpc("Network");
  const tasks = createGroup("TaskGroup", vpc, "Containers of Pylon");
  allowOut("TaskGroupOut", tasks);
  if (reach === "public") return { vpc, tasks, subnets: vpc.publicSubnets, isPublic: true };
  createEndpoints(vpc, tasks);
  return { vpc, tasks, subnets: vpc.privateSubnets, isPublic: false };
}
