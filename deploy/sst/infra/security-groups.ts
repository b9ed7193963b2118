/**
 * Creates a security group that allows no incoming connections and, unless rules say otherwise, no
 * outgoing ones.
 *
 * @param purpose the description in AWS's console
 */
export function createGroup(
  name: string,
  vpc: sst.aws.Vpc,
  purpose: string,
): aws.ec2.SecurityGroup {
  return new aws.ec2.SecurityGroup(name, { vpcId: vpc.id, description: purpose });
}

interface Passage {
  readonly from: $util.Input<string>;
  readonly to: $util.Input<string>;
  /** The first and the last TCP port, or the only one. */
  readonly ports: readonly [number, number?];
}

/** Allows members of one group to open TCP connections to those of another. */
export function allow(name: string, { from, to, ports: [first, last = first] }: Passage): void {
  new aws.vpc.SecurityGroupIngressRule(name, {
    securityGroupId: to,
    referencedSecurityGroupId: from,
    ipProtocol: "tcp",
    fromPort: first,
    toPort: last,
  });
}

/** Allows members of a group to open connections to any address. */
export function allowOut(name: string, group: aws.ec2.SecurityGroup): void {
  new aws.vpc.SecurityGroupEgressRule(name, {
    securityGroupId: group.id,
    cidrIpv4: "0.0.0.0/0",
    ipProtocol: "-1",
  });
}
