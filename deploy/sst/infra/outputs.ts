import type { Database } from "./database";
import { deployedService } from "./deployment";
import { logGroupOf } from "./service";
import { shardsDomain, type Settings } from "./settings";
import type { Volume } from "./volume";

interface DeployedParts {
  readonly settings: Settings;
  readonly cluster: sst.aws.Cluster;
  /** The service of the replicas. */
  readonly service: sst.aws.Service;
  readonly shards?: sst.aws.Service;
  readonly database?: Database;
  readonly volume?: Volume;
  readonly cdn: sst.aws.Cdn;
  /** The recipient of the alarms. */
  readonly alarms: string;
}

/**
 * The addresses of the stage, and the names of its parts for AWS's own commands.
 *
 * @returns outputs that fail if ECS rolled the deployment back
 */
export function outputsOf({
  settings,
  cluster,
  service,
  shards,
  database,
  volume,
  cdn,
  alarms,
}: DeployedParts) {
  return {
    ...(settings.notices.length === 0 ? {} : { notices: settings.notices }),
    region: settings.region ?? "the default of the AWS account: set region in pylon.stages.ts",
    api: `https://${settings.domain}`,
    cdn: settings.cdnDomain === undefined ? cdn.url : `https://${settings.cdnDomain}`,
    cdnServes:
      settings.cdnDomain === undefined
        ? "assets only: set cdnDomain in pylon.stages.ts to serve pages"
        : "pages and assets",
    alarms,
    cluster: cluster.nodes.cluster.name,
    service: deployedService("Pylon", service),
    logs: logGroupOf("Pylon"),
    ...(shards === undefined
      ? {}
      : {
          shards: `https://${shardsDomain(settings.domain)}`,
          shardsService: deployedService("Shards", shards),
          shardsLogs: logGroupOf("Shards"),
        }),
    ...(database === undefined
      ? {}
      : { database: database.aurora.id, databaseInstance: database.aurora.nodes.instance?.id }),
    ...(volume === undefined ? {} : { disk: volume.efs.id }),
  };
}
