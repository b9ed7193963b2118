import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { loadConfig } from "../../../packages/server/src/config/load-config.ts";
import { VARIABLES } from "../../../packages/server/src/config/variables.ts";
import { canInstall, SstPlatform } from "./platform.ts";
import {
  edgeFunction,
  ENV,
  FILES,
  SHAPES,
  Stage,
  statementsOf,
  VERSIONS,
  type Container,
} from "./stage.ts";

const OLD = "arn:aws:ecs:us-east-1:123456789012:task-definition/pylon-app-production-Pylon:7";

for (const version of VERSIONS) {
  describe.skipIf(!canInstall(version))(`sst ${version}`, () => {
    let platform: SstPlatform;
    let folder: string;
    const seen = new Map<string, Stage>();
    const evaluate = (config: string, stage: string, env: Record<string, string> = {}): Stage => {
      const key = JSON.stringify([config, stage, env]);
      const found =
        seen.get(key) ?? new Stage(platform.evaluate(folder, config, stage, { ...ENV, ...env }));
      seen.set(key, found);
      return found;
    };

    beforeAll(() => {
      platform = new SstPlatform(version);
      folder = platform.project(FILES);
    }, 900_000);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    describe("a deployment that ECS rolled back", () => {
      test.each(SHAPES)("fails with %s, and reports the serving version and the log", (shape) => {
        expect(() => evaluate(shape, "production", { PROOF_SERVES: OLD })).toThrow(
          new RegExp(
            "ECS rolled back the deployment of (Pylon|Shards),.* " +
              "pylon-app-production-Pylon:7 is running.* " +
              "aws logs tail /pylon/pylon-app/production/(Pylon|Shards) ",
          ),
        );
      });

      test("is not checked during a preview", () => {
        expect(
          evaluate("sst.config.ts", "production", { PROOF_SERVES: OLD, PROOF_PREVIEW: "1" })
            .outputs,
        ).toMatchObject({ service: "Pylon" });
      });
    });

    test("a changed secret starts new containers, without revealing the value", () => {
      const token = "another-token-of-the-admin";
      const environments: Record<string, string>[] = [
        {},
        { PYLON_ALARM_EMAIL: "on-call@example.com" },
        { SST_SECRET_PylonAdminToken: token },
      ];
      const [before, same, after] = environments.map((env) =>
        evaluate("sst.config.efs.ts", "production", env),
      );
      expect(containersOf(same)).toEqual(containersOf(before));
      expect(containersOf(after)).not.toEqual(containersOf(before));
      expect(JSON.stringify(containersOf(after))).not.toContain(token);
      expect(after?.one("aws:ecs/service:Service")["taskDefinition"]).toMatch(/PylonTask$/);
    });

    test("a deployment leaves the number of containers to autoscaling", () => {
      const service = evaluate("sst.config.shards.ts", "production").all("aws:ecs/service:Service");
      expect(service.map(({ name, ignoreChanges }) => [name, ignoreChanges])).toEqual([
        ["PylonService", ["desiredCount"]],
        ["ShardsService", ["desiredCount"]],
      ]);
    });

    test.each(SHAPES)("the server accepts every variable that %s sets", (shape) => {
      for (const stage of ["production", "pr-42"]) {
        const environments = evaluate(shape, stage).environments();
        expect(environments).toHaveLength(shape.includes("shards") ? 2 : 1);
        for (const environment of environments) {
          const { oauth, database, files, corsOrigins, backup } = loadConfig(environment);
          expect(
            Object.keys(environment).filter(
              (name) =>
                name.startsWith("PYLON_") &&
                !(name in VARIABLES) &&
                !name.startsWith("PYLON_OAUTH_"),
            ),
          ).toEqual([]);
          expect(oauth).toMatchObject([
            {
              name: "github",
              clientId: ENV.PYLON_OAUTH_GITHUB_CLIENT_ID,
              secret: { value: ENV.SST_SECRET_PylonOauthGithubClientSecret },
            },
          ]);
          expect([database.kind, files.provider]).toEqual(
            shape.includes("efs") ? ["sqlite", "local"] : ["postgres", "s3"],
          );
          expect(backup).toEqual(
            shape.includes("efs") && stage === "production"
              ? { dir: "/data/backups", hours: 24, keep: 2 }
              : null,
          );
          expect(corsOrigins).toEqual([
            stage === "production" ? "https://api.example.com" : "https://pr-42.api.example.com",
          ]);
        }
      }
    });

    test("PYLON_VARIABLES of a stage take precedence", () => {
      const env = {
        PYLON_VARIABLES: "PYLON_BACKUP_KEEP,PYLON_BACKUP_HOURS",
        PYLON_BACKUP_KEEP: "5",
        PYLON_BACKUP_HOURS: "168",
        PYLON_SECRETS: "",
      };
      expect(
        loadConfig(evaluate("sst.config.efs.ts", "production", env).environments()[0] ?? {}).backup,
      ).toEqual({ dir: "/data/backups", hours: 168, keep: 5 });
    });

    test("metrics, traces and logs go to OTLP, with the stage's name and a secret key", () => {
      const stage = evaluate("sst.config.ts", "staging", {
        PYLON_SECRETS: "OTEL_EXPORTER_OTLP_HEADERS",
        SST_SECRET_OtelExporterOtlpHeaders: "Authorization=Basic%20a2V5",
        PYLON_VARIABLES: "OTEL_EXPORTER_OTLP_ENDPOINT",
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp.example.com/otlp",
      });
      const [environment] = stage.environments();
      expect(loadConfig(environment ?? {}).telemetry).toMatchObject({
        endpoint: "https://otlp.example.com/otlp",
        headers: { Authorization: "Basic a2V5" },
        resource: { "deployment.environment.name": "staging" },
      });
      expect(JSON.stringify(stage.containers())).not.toContain("Basic");
    });

    describe("mail by SES", () => {
      const SES = {
        PYLON_VARIABLES: "PYLON_EMAIL_PROVIDER,PYLON_EMAIL_FROM",
        PYLON_EMAIL_PROVIDER: "ses",
        PYLON_SECRETS: "",
      };

      test.each(["hello@shop.example", "The Shop <hello@shop.example>"])(
        "may only be sent from %s",
        (from) => {
          const stage = evaluate("sst.config.ts", "production", { ...SES, PYLON_EMAIL_FROM: from });
          const mail = statementsOf(stage.one("aws:iam/role:Role", "PylonTaskRole")).filter(
            ({ actions }) => actions.some((action) => action.startsWith("ses:")),
          );
          const identity = "arn:aws:ses:us-east-1:123456789012:identity";
          expect(mail).toMatchObject([
            {
              actions: ["ses:SendEmail"],
              resources: [`${identity}/hello@shop.example`, `${identity}/shop.example`],
              conditions: [{ variable: "ses:FromAddress", values: ["hello@shop.example"] }],
            },
          ]);
          expect(loadConfig(stage.environments()[0] ?? {}).email).toMatchObject({
            provider: "ses",
            from,
          });
        },
      );

      test("requires an address", () => {
        expect(() =>
          evaluate("sst.config.ts", "production", {
            ...SES,
            PYLON_VARIABLES: "PYLON_EMAIL_PROVIDER",
          }),
        ).toThrow("PYLON_EMAIL_FROM");
      });

      test("with another provider needs no AWS permissions", () => {
        const stage = evaluate("sst.config.ts", "production");
        expect(JSON.stringify(stage.all("aws:iam/role:Role"))).not.toContain("ses:");
      });
    });

    describe("alarms", () => {
      const alarm = (stage: Stage, name: string): Record<string, unknown> =>
        stage.one("aws:cloudwatch/metricAlarm:MetricAlarm", `${name}Alarm`);

      test("are raised when nothing serves, also without requests and metrics", () => {
        const stage = evaluate("sst.config.ts", "production");
        expect(alarm(stage, "PylonNoReplica")).toMatchObject({
          metricName: "HealthyHostCount",
          statistic: "Maximum",
          comparisonOperator: "LessThanThreshold",
          threshold: 1,
          evaluationPeriods: 3,
          treatMissingData: "breaching",
          dimensions: { TargetGroup: expect.stringMatching(/HTTP4321$/) },
        });
        expect(alarm(stage, "PylonLastingErrors")).toMatchObject({
          threshold: 0,
          period: 600,
          evaluationPeriods: 6,
          treatMissingData: "notBreaching",
        });
      });

      test("allow for the time of a single container's deployment", () => {
        expect(
          alarm(evaluate("sst.config.efs.ts", "production"), "PylonNoReplica")["evaluationPeriods"],
        ).toBe(10);
      });

      test("are raised for more connections than the containers can open", () => {
        const limit = (shape: string, env = {}): unknown =>
          alarm(evaluate(shape, "production", env), "DatabaseConnections")["threshold"];
        // Without Redis, five connections of each replica are for rooms.
        expect(limit("sst.config.ts")).toBe(4 * 19 + 4);
        expect(limit("sst.config.nat-less.ts")).toBe(4 * 19 + 4);
        expect(limit("sst.config.redis.ts")).toBe(4 * 14 + 4);
        expect(limit("sst.config.shards.ts")).toBe(5 * 14 + 4);
        expect(
          limit("sst.config.ts", {
            PYLON_VARIABLES: "PYLON_DATABASE_POOL",
            PYLON_DATABASE_POOL: "25",
            PYLON_SECRETS: "",
          }),
        ).toBe(4 * 34 + 4);
      });

      test("cover the shards, Valkey and the disk if they exist", () => {
        const stage = evaluate("sst.config.shards.ts", "production");
        expect(alarm(stage, "ShardsNoReplica")).toMatchObject({
          evaluationPeriods: 10,
          dimensions: { LoadBalancer: "app/ShardsLoadBalancer/0123456789abcdef" },
        });
        expect(alarm(stage, "CacheMemory")).toMatchObject({
          namespace: "AWS/ElastiCache",
          dimensions: { CacheClusterId: "cachecluster-001" },
        });
        expect(alarm(stage, "CacheEvictions")).toMatchObject({ threshold: 0 });
        expect(alarm(evaluate("sst.config.efs.ts", "production"), "VolumeIo")).toMatchObject({
          namespace: "AWS/EFS",
          metricName: "PercentIOLimit",
        });
      });

      test("mail the event of ECS when it gives up a deployment", () => {
        const stage = evaluate("sst.config.shards.ts", "production");
        const pattern = JSON.parse(
          String(stage.one("aws:cloudwatch/eventRule:EventRule")["eventPattern"]),
        ) as unknown;
        expect(pattern).toEqual({
          source: ["aws.ecs"],
          "detail-type": ["ECS Deployment State Change"],
          resources: ["PylonService-id", "ShardsService-id"],
          detail: { eventName: ["SERVICE_DEPLOYMENT_FAILED"] },
        });
        expect(stage.one("aws:cloudwatch/eventTarget:EventTarget")["arn"]).toMatch(/Alarms$/);
        const policy = JSON.stringify(stage.one("aws:sns/topicPolicy:TopicPolicy")["policy"]);
        for (const sender of ["cloudwatch.amazonaws.com", "events.amazonaws.com"])
          expect(policy).toContain(sender);
      });

      test("without a recipient are reported as such", () => {
        const { outputs } = evaluate("sst.config.ts", "production");
        expect(outputs["alarms"]).toContain("without a recipient");
        expect(evaluate("sst.config.ts", "pr-42").outputs["alarms"]).toContain("none");
      });
    });

    test.each(SHAPES)("%s outputs the names of its parts", (shape) => {
      const { outputs } = evaluate(shape, "production");
      expect(outputs).toMatchObject({
        service: "Pylon",
        cluster: expect.stringContaining("Cluster"),
        logs: "/pylon/pylon-app/production/Pylon",
      });
      expect(outputs).toMatchObject(
        shape.includes("efs")
          ? { disk: "DataFileSystem-id" }
          : { database: "DatabaseCluster-id", databaseInstance: "DatabaseInstance-id" },
      );
      if (shape.includes("shards"))
        expect(outputs).toMatchObject({
          shardsService: "Shards",
          shardsLogs: "/pylon/pylon-app/production/Shards",
        });
    });

    describe("the CDN", () => {
      const edge = (stage: Stage, name: string): ReturnType<typeof edgeFunction> =>
        edgeFunction(String(stage.one("aws:cloudfront/function:Function", name)["code"]));
      const request = (uri: string, querystring = {}) => ({
        request: { uri, headers: {}, querystring },
      });

      test("without its own name serves assets, and redirects pages to the stage", () => {
        const stage = evaluate("sst.config.ts", "production");
        const guard = edge(stage, "CdnGuard");
        expect(
          guard(
            request("/lists/7", {
              sort: { value: "a%20b" },
              all: { value: "" },
              tag: { value: "c", multiValue: [{ value: "b" }, { value: "c" }] },
            }),
          ),
        ).toMatchObject({
          statusCode: 302,
          headers: {
            location: { value: "https://api.example.com/lists/7?sort=a%20b&all=&tag=b&tag=c" },
          },
        });
        for (const uri of ["/", "/index.html", "/lists/7.5/x"])
          expect(guard(request(uri))).toMatchObject({ statusCode: 302 });
        for (const uri of ["/chunk-0a1b2c.js", "/logo.svg"])
          expect(guard(request(uri))).toMatchObject({ uri });
        expect(stage.outputs["cdnServes"]).toContain("assets only");
      });

      test("with its own name serves pages, which may call the server", () => {
        const stage = evaluate("sst.config.ts", "staging", { PYLON_CDN_DOMAIN: "www.example.com" });
        for (const uri of ["/", "/lists/7", "/chunk-0a1b2c.js"])
          expect(edge(stage, "CdnGuard")(request(uri))).toMatchObject({ uri });
        for (const uri of ["/auth/sign-in", "/studio"])
          expect(edge(stage, "CdnGuard")(request(uri))).toMatchObject({ statusCode: 302 });
        expect(stage.outputs["cdn"]).toBe("https://staging.www.example.com");
        expect(loadConfig(stage.environments()[0] ?? {}).corsOrigins).toEqual([
          "https://staging.api.example.com",
          "https://staging.www.example.com",
        ]);
      });

      test("requests a page's assets from the page's replica, and caches no errors", () => {
        const stage = evaluate("sst.config.ts", "production", {
          PYLON_CDN_DOMAIN: "www.example.com",
        });
        const distribution = stage.one("aws:cloudfront/distribution:Distribution") as {
          defaultCacheBehavior: Record<string, unknown>;
          customErrorResponses: unknown[];
        };
        expect(distribution.defaultCacheBehavior).toMatchObject({
          originRequestPolicyId: "CdnOriginPolicy-id",
          cachePolicyId: "CdnCachePolicy-id",
        });
        expect(distribution.customErrorResponses).toContainEqual({
          errorCode: 404,
          errorCachingMinTtl: 0,
        });
        const cleaner = edge(stage, "CdnCleaner");
        const cookies = { AWSALB: { value: "replica" } };
        const answer = (cacheControl: string) => ({
          response: { headers: { "cache-control": { value: cacheControl } }, cookies },
        });
        expect(cleaner(answer("no-cache"))).toMatchObject({ cookies });
        expect(cleaner(answer("public, max-age=31536000, immutable"))).toMatchObject({
          cookies: {},
        });
        expect(cleaner({ response: { headers: {}, cookies } })).toMatchObject({ cookies });
      });
    });
  });
}

function containersOf(stage: Stage | undefined): Container[] | undefined {
  return stage
    ?.containers()
    .map(({ environment, secrets, healthCheck }) => ({ environment, secrets, healthCheck }));
}
