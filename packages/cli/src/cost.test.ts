import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { canInstall, SstPlatform, type Resource } from "../../../deploy/sst/proof/platform.ts";
import { costDoc } from "../../../scripts/cost-doc.ts";
import { estimate, type CostLine } from "./cost/estimate.ts";
import { PRICES, PRICES_DATE } from "./cost/prices.ts";
import { SHAPES, type Shape } from "./deploy/targets.ts";
import { pylon } from "./testing/pylon-process.ts";

const prices = PRICES["us-east-1"];
const HOURS = 730;

function linesOf(shape: Shape): readonly CostLine[] {
  if (prices === undefined) throw new Error("There are no prices.");
  return estimate({ shape, replicas: 1, storageGb: 10, egressGb: 10 }, prices).lines;
}

test("docs/deploy/cost.md is up to date: run `bun scripts/cost-doc.ts`", async () => {
  expect(await Bun.file(new URL("../../../docs/deploy/cost.md", import.meta.url)).text()).toBe(
    costDoc(),
  );
}, 60_000);

test("each line is quantity times price, the total their sum, and the date is shown", async () => {
  const { exitCode, stdout } = await pylon(
    ["cost", "--replicas", "2", "--storage-gb", "100", "--egress-gb", "50", "--json"],
    "/",
  );
  const json = JSON.parse(stdout) as {
    lines: CostLine[];
    least_usd: number;
    most_usd: number;
    prices_date: string;
  };
  expect(exitCode).toBe(0);
  for (const { quantity, price, usd } of json.lines) expect(usd).toBeCloseTo(quantity * price, 2);
  const sum = (left: string): number =>
    json.lines.filter(({ item }) => item !== left).reduce((total, { usd }) => total + usd, 0);
  expect(json.least_usd).toBeCloseTo(sum("Aurora at its maximum"), 2);
  expect(json.most_usd).toBeCloseTo(sum("Aurora at its minimum"), 2);
  expect(json.lines.find(({ item }) => item === "Data to clients")).toMatchObject({
    quantity: 50,
    unit: "GB",
  });
  expect(json.lines.find(({ item }) => item === "Containers, vCPU")?.quantity).toBe(
    2 * 0.25 * HOURS,
  );
  expect(json.prices_date).toBe(PRICES_DATE);
});

test.each([
  [["--shape", "round"], "COST_INVALID_SHAPE"],
  [["--region", "mars-1"], "COST_INVALID_REGION"],
  [["--region", "toString"], "COST_INVALID_REGION"],
  [["--replicas", "0"], "COST_INVALID_NUMBER"],
  [["--replicas", "1.5"], "COST_INVALID_NUMBER"],
  [["--storage-gb=-1"], "COST_INVALID_NUMBER"],
  [["--egress-gb", "much"], "COST_INVALID_NUMBER"],
  [["--shape", "efs", "--replicas", "2"], "COST_INVALID_REPLICAS"],
])("cost %j is rejected with %s", async (args, code) => {
  const { exitCode, stdout } = await pylon(["cost", ...args, "--json"], "/");
  expect({ exitCode, json: JSON.parse(stdout) as unknown }).toMatchObject({
    exitCode: 64,
    json: { code },
  });
});

const SST = "4.17.1";
/** The resources in a shape's configuration. */
function resourcesOf(shape: Shape, platform: SstPlatform, folder: string): readonly Resource[] {
  const config = shape === "default" ? "sst.config.ts" : `sst.config.${shape}.ts`;
  const { resources } = platform.evaluate(folder, config, "production", {
    PYLON_DOMAIN: "api.example.com",
    SST_SECRET_PylonAdminToken: "a",
    SST_SECRET_PylonSsoEncryptionKey: "b",
  });
  return resources;
}

describe.skipIf(!canInstall(SST))("what is paid for is what the configs make", () => {
  let platform: SstPlatform;
  let folder: string;
  beforeAll(() => {
    platform = new SstPlatform(SST);
    folder = platform.project(join(import.meta.dir, "../../../deploy/sst"));
  }, 900_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each([...SHAPES])("%s", (shape) => {
    let resources: readonly Resource[];
    beforeAll(() => {
      resources = resourcesOf(shape, platform, folder);
    }, 120_000);

    const inputsOf = (type: string): Resource["inputs"][] =>
      resources.filter((resource) => resource.type === type).map(({ inputs }) => inputs);
    const quantity = (item: RegExp): number =>
      linesOf(shape)
        .filter((line) => item.test(line.item))
        .reduce((sum, line) => sum + line.quantity, 0);

    test("containers and what watches them", () => {
      const tasks = inputsOf("aws:ecs/taskDefinition:TaskDefinition");
      expect(quantity(/^Containers, vCPU/) / HOURS).toBe(
        tasks.reduce((sum, { cpu }) => sum + Number(cpu) / 1024, 0),
      );
      expect(quantity(/^Containers, memory/) / HOURS).toBe(
        tasks.reduce((sum, { memory }) => sum + Number(memory) / 1024, 0),
      );
      expect(quantity(/^CloudWatch, alarms$/)).toBe(
        inputsOf("aws:cloudwatch/metricAlarm:MetricAlarm").length,
      );
    });

    test("the database, the cache, the files and the passwords", () => {
      const [scaling] = inputsOf("aws:rds/cluster:Cluster").map(
        (inputs) =>
          inputs["serverlessv2ScalingConfiguration"] as {
            minCapacity: number;
            maxCapacity: number;
          },
      );
      expect([quantity(/at its minimum/) / HOURS, quantity(/at its maximum/) / HOURS]).toEqual([
        scaling?.minCapacity ?? 0,
        scaling?.maxCapacity ?? 0,
      ]);
      expect(quantity(/^Valkey/) / HOURS).toBe(
        inputsOf("aws:elasticache/replicationGroup:ReplicationGroup").length,
      );
      expect(quantity(/^EFS, storage/) > 0).toBe(
        inputsOf("aws:efs/fileSystem:FileSystem").length > 0,
      );
      expect(quantity(/^S3, storage/) > 0).toBe(
        resources.some(({ type }) => /^aws:s3\/bucketV?2?:Bucket/.test(type)),
      );
      expect(quantity(/^Passwords/)).toBe(inputsOf("aws:secretsmanager/secret:Secret").length);
    });

    test("the network", () => {
      const balancers = inputsOf("aws:lb/loadBalancer:LoadBalancer");
      expect(quantity(/^Load balancers?$/) / HOURS).toBe(balancers.length);
      const interfaces = inputsOf("aws:ec2/vpcEndpoint:VpcEndpoint").filter(
        (inputs) => inputs["vpcEndpointType"] === "Interface",
      );
      expect(quantity(/^VPC endpoints$/) / HOURS).toBe(
        interfaces.reduce((sum, inputs) => sum + (inputs["subnetIds"] as string[]).length, 0),
      );
      const publicTasks = inputsOf("aws:ecs/service:Service").filter(
        (inputs) => (inputs["networkConfiguration"] as { assignPublicIp: boolean }).assignPublicIp,
      ).length;
      const zones = balancers.reduce(
        (sum, inputs) => sum + (inputs["subnets"] as string[]).length,
        0,
      );
      expect(quantity(/^Public IPv4/) / HOURS).toBe(publicTasks + zones);
      expect(inputsOf("aws:ec2/natGateway:NatGateway")).toEqual([]);
      expect(inputsOf("aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace")).toHaveLength(
        1,
      );
    });
  });
});
