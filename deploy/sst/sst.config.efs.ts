/// <reference path="./.sst/platform/config.d.ts" />

// Requires infra/ and pylon.stages.ts next to it: `pylon deploy --target sst` writes all of them.
// One container with SQLite and files on EFS: the cheapest shape. It never runs two at once, so
// there is a downtime while a new version starts.
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
    const volume = pylon.createVolume(network, settings);
    const parameters = pylon.createParameters(pylon.secretValues(settings));
    const cluster = new sst.aws.Cluster("Cluster", { vpc: network.vpc });
    const service = pylon.createService("Pylon", {
      cluster,
      network,
      settings,
      parameters,
      volume,
      replicas: "single",
    });
    const alarms = pylon.createAlarms(settings, { services: { Pylon: service }, volume });
    const cdn = pylon.createCdn(service, settings);
    return pylon.outputsOf({ settings, cluster, service, volume, cdn, alarms });
  },
});
