import type { Network } from "./network";
import { allow, createGroup } from "./security-groups";
import type { Settings } from "./settings";

const POSTGRES_PORT = 5432;

export interface Database {
  readonly aurora: sst.aws.Aurora;
  /**
   * Contains the password, so it may only be used in a secret parameter. The server knows the CA of
   * Aurora's certificates; other programs must be given RDS's root certificates.
   */
  readonly url: $util.Output<string>;
}

/**
 * Aurora Serverless v2 in private subnets, which only the containers can reach. Half a capacity
 * unit always stays awake, so that no request waits for a start.
 */
export function createDatabase(
  { vpc, tasks }: Network,
  { isProduction, databaseReplicas }: Settings,
): Database {
  const group = createGroup("DatabaseGroup", vpc, "Aurora");
  allow("DatabaseFromTasks", { from: tasks.id, to: group.id, ports: [POSTGRES_PORT] });
  const aurora = new sst.aws.Aurora("Database", {
    engine: "postgres",
    replicas: databaseReplicas,
    scaling: { min: "0.5 ACU", max: "2 ACU" },
    vpc: { subnets: vpc.privateSubnets, securityGroups: [group.id] },
    transform: {
      clusterParameterGroup: (args) => {
        // The default of newer versions of Postgres, but not of all.
        args.parameters = [{ name: "rds.force_ssl", value: "1" }];
      },
      cluster: (args, opts) => {
        args.storageEncrypted = true;
        args.copyTagsToSnapshot = true;
        args.backupRetentionPeriod = isProduction ? 14 : 1;
        args.deletionProtection = isProduction;
        args.skipFinalSnapshot = !isProduction;
        if (isProduction) args.finalSnapshotIdentifier = `${$app.name}-${$app.stage}-final`;
        // SST 4 retains it by default, SST 3 does not.
        opts.retainOnDelete = isProduction;
      },
    },
  });
  const credentials = $util
    .all([aurora.username, aurora.password])
    .apply(([name, password]) => `${encodeURIComponent(name)}:${encodeURIComponent(password)}`);
  const address = $interpolate`${aurora.host}:${aurora.port}/${aurora.database}`;
  return {
    aurora,
    url: $interpolate`postgresql://${credentials}@${address}?sslmode=verify-full`,
  };
}
