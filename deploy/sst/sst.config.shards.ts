/// <reference path="./.sst/platform/config.d.ts" />

// Requires infra/ and pylon.stages.ts next to it: `pylon deploy --target sst` writes all of them.
// The default shape, plus one bigger, separate container for shards: a simulation lives in one
// process, so it cannot run in a replica.
export default $config({
  async app({ stage }) {
    const { stageProviders } = await import("./infra/settings");
    const isProduction = stage === "production";
    return {
      name: "pylon-app",
      home: "aws",
      removal: isProduction ? "retain" : "remove",
      protect: isProduction,
      providers: stageProviders(stage),
    };
  },
  async run() {
    const pylon = await import("./infra");
    const settings = pylon.readSettings($app.stage);
    const network = pylon.createNetwork();
    const database = pylon.createDatabase(network, settings);
    const files = pylon.createFiles(settings);
    const cache = pylon.createCache(network);
    const parameters = pylon.createParameters({
      DATABASE_URL: database.url,
      REDIS_URL: cache.url,
      ...pylon.secretValues(settings),
    });
    const cluster = new sst.aws.Cluster("Cluster", { vpc: network.vpc });
    const service = pylon.createService("Pylon", { cluster, network, settings, files, parameters });
    const domain = pylon.shardsDomain(settings.domain);
    const shards = pylon.createService("Shards", {
      cluster,
      network,
      settings,
      files,
      parameters,
      domain,
      replicas: "single",
      size: { cpu: "1 vCPU", memory: "2 GB" },
    });
    pylon.scaleByConnections("Pylon", service);
    const alarms = pylon.createAlarms(settings, {
      services: { Pylon: service, Shards: shards },
      database,
      cache,
    });
    const cdn = pylon.createCdn(service, settings);
    return pylon.outputsOf({ settings, cluster, service, shards, database, cdn, alarms });
  },
});
