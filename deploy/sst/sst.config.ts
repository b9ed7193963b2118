/// <reference path="./.sst/platform/config.d.ts" />

// Requires infra/ and pylon.stages.ts next to it: `pylon deploy --target sst` writes all of them.
// Replicas on Fargate behind a load balancer, with Aurora and S3. docs/deploy/README.md is the
// guide.
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
    const parameters = pylon.createParameters({
      DATABASE_URL: database.url,
      ...pylon.secretValues(settings),
    });
    const cluster = new sst.aws.Cluster("Cluster", { vpc: network.vpc });
    const service = pylon.createService("Pylon", { cluster, network, settings, files, parameters });
    pylon.scaleByConnections("Pylon", service);
    const alarms = pylon.createAlarms(settings, { services: { Pylon: service }, database });
    const cdn = pylon.createCdn(service, settings);
    return pylon.outputsOf({ settings, cluster, service, database, cdn, alarms });
  },
});
