import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canInstall, SstPlatform } from "./platform.ts";
import {
  edgeFunction,
  ENV,
  FILES,
  HOLDERS_OF_SECRETS,
  isSecret,
  PASSWORDS,
  PORTS,
  SECRETS,
  SHAPES,
  Stage,
  statementsOf,
  valueOf,
  VERSIONS,
} from "./stage.ts";

/** Sorted by name. */
const ALARMS_OF_SERVICE = [
  "BalancerErrors",
  "LastingErrors",
  "Latency",
  "NoReplica",
  "ServerErrors",
  "TaskCpu",
  "TaskMemory",
];

const PRIVATE_SUBNETS = ["NetworkPrivateSubnet1-id", "NetworkPrivateSubnet2-id"];

for (const version of VERSIONS) {
  const isPossible = canInstall(version);
  if (!isPossible)
    console.error(
      `sst@${version} can't be installed: its registry does not answer. The proof of the ` +
        "configs for AWS does not run.",
    );

  describe.skipIf(!isPossible)(`sst ${version}`, () => {
    let platform: SstPlatform;
    let folder: string;
    const evaluate = (config: string, stage: string, env: Record<string, string> = {}): Stage =>
      new Stage(platform.evaluate(folder, config, stage, { ...ENV, ...env }));

    beforeAll(() => {
      platform = new SstPlatform(version);
      folder = platform.project(FILES);
    }, 900_000);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test("its own types accept every config", () => {
      expect(platform.typeErrors(folder)).toBe("");
    });

    describe("the default shape in production", () => {
      let stage: Stage;
      beforeAll(() => {
        stage = evaluate("sst.config.ts", "production");
      });

      test("runs one to four small containers, more of them at 70 % CPU", () => {
        expect(stage.count("aws:ecs/cluster:Cluster")).toBe(1);
        expect(stage.one("aws:ecs/taskDefinition:TaskDefinition")).toMatchObject({
          cpu: "256",
          memory: "512",
          requiresCompatibilities: ["FARGATE"],
        });
        expect(stage.one("aws:ecs/service:Service")).toMatchObject({
          launchType: "FARGATE",
          deploymentCircuitBreaker: { enable: true, rollback: true },
          waitForSteadyState: true,
        });
        expect(stage.one("aws:appautoscaling/target:Target")).toMatchObject({
          minCapacity: 1,
          maxCapacity: 4,
        });
        const policies = stage
          .all("aws:appautoscaling/policy:Policy")
          .map(
            ({ inputs }) =>
              inputs["targetTrackingScalingPolicyConfiguration"] as Record<string, unknown>,
          );
        expect(policies).toContainEqual(
          expect.objectContaining({
            predefinedMetricSpecification: {
              predefinedMetricType: "ECSServiceAverageCPUUtilization",
            },
            targetValue: 70,
          }),
        );
        expect(policies.some((policy) => JSON.stringify(policy).includes("Memory"))).toBe(false);
      });

      test("adds containers depending on the open connections per running container", () => {
        const { targetTrackingScalingPolicyConfiguration: policy } = stage.one(
          "aws:appautoscaling/policy:Policy",
          "PylonConnectionScaling",
        ) as {
          targetTrackingScalingPolicyConfiguration: {
            targetValue: number;
            customizedMetricSpecification: {
              metrics: {
                expression?: string;
                metricStat?: { stat: string; metric: { metricName: string } };
              }[];
            };
          };
        };
        const { metrics } = policy.customizedMetricSpecification;
        expect(policy.targetValue).toBe(10_000);
        expect(metrics.flatMap(({ metricStat }) => metricStat?.metric.metricName ?? [])).toEqual([
          "ActiveConnectionCount",
          "CPUUtilization",
        ]);
        // One sample a minute per running container; the load balancer's count of healthy ones is a
        // mean over its zones.
        expect(metrics[1]?.metricStat).toMatchObject({
          stat: "SampleCount",
          metric: {
            namespace: "AWS/ECS",
            dimensions: [{ name: "ClusterName" }, { name: "ServiceName", value: "Pylon" }],
          },
        });
        expect(metrics[2]?.expression).toBe("connections / tasks");
      });

      test("listens with TLS on 443 and the three other ports, and redirects plain HTTP", () => {
        const listeners = stage.all("aws:lb/listener:Listener").map(({ inputs }) => inputs);
        const secure = listeners.filter(({ protocol }) => protocol === "HTTPS");
        expect(secure.map(({ port }) => port).toSorted((a, b) => Number(a) - Number(b))).toEqual([
          443, 4322, 4323, 4324,
        ]);
        expect(
          secure.every(
            ({ sslPolicy, certificateArn }) =>
              sslPolicy === "ELBSecurityPolicy-TLS13-1-2-2021-06" &&
              typeof certificateArn === "string",
          ),
        ).toBe(true);
        expect(listeners.find(({ port }) => port === 80)?.["defaultActions"]).toMatchObject([
          { type: "redirect", redirect: { port: "443", protocol: "HTTPS" } },
        ]);
        expect(secure.find(({ port }) => port === 443)?.["defaultActions"]).toMatchObject([
          { type: "forward", targetGroupArn: expect.stringContaining("HTTP4321") },
        ]);
      });

      test("checks /health on each port, keeps a client on its replica, and drains", () => {
        const groups = stage.all("aws:lb/targetGroup:TargetGroup").map(({ inputs }) => inputs);
        expect(groups.map(({ port }) => port).toSorted((a, b) => Number(a) - Number(b))).toEqual(
          PORTS,
        );
        for (const group of groups) {
          expect(group["healthCheck"]).toMatchObject({ path: "/health", matcher: "200" });
          expect(group["stickiness"]).toMatchObject({ enabled: true, type: "lb_cookie" });
          expect(group["deregistrationDelay"]).toBe(20);
        }
        expect(stage.one("aws:lb/loadBalancer:LoadBalancer")).toMatchObject({
          idleTimeout: 3600,
          internal: false,
          enableDeletionProtection: true,
          dropInvalidHeaderFields: true,
        });
      });

      test("has an encrypted, backed-up and protected Aurora of half a unit to two", () => {
        expect(stage.one("aws:rds/cluster:Cluster")).toMatchObject({
          engine: "aurora-postgresql",
          serverlessv2ScalingConfiguration: { minCapacity: 0.5, maxCapacity: 2 },
          storageEncrypted: true,
          deletionProtection: true,
          skipFinalSnapshot: false,
          finalSnapshotIdentifier: "pylon-app-production-final",
          backupRetentionPeriod: 14,
        });
      });

      test("lets only containers reach the database, and only the balancer the containers", () => {
        expect(stage.one("aws:rds/cluster:Cluster")["vpcSecurityGroupIds"]).toEqual([
          "DatabaseGroup-id",
        ]);
        expect(stage.one("aws:rds/subnetGroup:SubnetGroup")["subnetIds"]).toEqual([
          "NetworkPrivateSubnet1-id",
          "NetworkPrivateSubnet2-id",
        ]);
        expect(stage.rulesInto("DatabaseGroup-id")).toEqual([
          { from: "TaskGroup-id", ports: [5432, 5432], protocol: "tcp" },
        ]);
        const service = stage.one("aws:ecs/service:Service") as {
          networkConfiguration: { securityGroups: string[] };
        };
        expect(service.networkConfiguration.securityGroups).toEqual(["TaskGroup-id"]);
        expect(stage.rulesInto("TaskGroup-id")).toEqual([
          { from: "PylonLoadBalancerSecurityGroup-id", ports: [4321, 4324], protocol: "tcp" },
        ]);
        const groups = stage
          .all("aws:ec2/securityGroup:SecurityGroup")
          .filter(({ inputs }) => inputs["ingress"] !== undefined);
        expect(groups.map(({ name }) => name)).toEqual(["PylonLoadBalancerSecurityGroup"]);
      });

      test("opens only the load balancer's own ports to the internet", () => {
        const group = stage.one(
          "aws:ec2/securityGroup:SecurityGroup",
          "PylonLoadBalancerSecurityGroup",
        ) as {
          ingress: { fromPort: number; toPort: number; protocol: string }[];
          egress: unknown[];
        };
        expect(
          group.ingress.map(({ fromPort, toPort, protocol }) => [fromPort, toPort, protocol]),
        ).toEqual([80, 443, 4322, 4323, 4324].map((port) => [port, port, "tcp"]));
        expect(group.egress).toEqual([
          { fromPort: 4321, toPort: 4324, protocol: "tcp", cidrBlocks: ["10.0.0.0/16"] },
        ]);
      });

      test("keeps files in a private bucket that only accepts TLS", () => {
        expect(stage.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")).toMatchObject({
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        });
        const policy = JSON.stringify(stage.one("aws:s3/bucketPolicy:BucketPolicy"));
        expect(policy).toContain("aws:SecureTransport");
        expect(policy).toContain("Deny");
        expect(policy).not.toContain(`\\"Allow\\"`);
        expect(stage.one("aws:s3/bucketVersioning:BucketVersioning")).toMatchObject({
          versioningConfiguration: { status: "Enabled" },
        });
      });

      test("S4: removes unfinished uploads, and later deleted and replaced files", () => {
        const { bucket, rules } = stage.one(
          "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        );
        expect(bucket).toBeDefined();
        expect(rules).toEqual([
          {
            id: "unfinished-uploads",
            status: "Enabled",
            filter: { prefix: "" },
            abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
          },
          {
            id: "former-versions",
            status: "Enabled",
            filter: { prefix: "" },
            noncurrentVersionExpiration: { noncurrentDays: 30 },
          },
          {
            id: "delete-markers",
            status: "Enabled",
            filter: { prefix: "" },
            expiration: { expiredObjectDeleteMarker: true },
          },
        ]);
      });

      test("S7: only the stage's own pages may upload and download files", () => {
        const { corsRules } = stage.one("aws:s3/bucketCorsConfiguration:BucketCorsConfiguration");
        expect(corsRules).toMatchObject([
          {
            allowedOrigins: ["https://api.example.com"],
            allowedMethods: ["GET", "PUT", "HEAD"],
          },
        ]);
      });

      test("S7: the database is in private subnets, without a public address", () => {
        const instances = stage.all("aws:rds/clusterInstance:ClusterInstance");
        expect(instances).not.toEqual([]);
        for (const { inputs } of instances)
          expect(inputs["publiclyAccessible"] ?? false).toBe(false);
        expect(stage.one("aws:rds/subnetGroup:SubnetGroup")["subnetIds"]).toEqual(PRIVATE_SUBNETS);
      });

      test("S7: the database outlives the removal of the stage", () => {
        expect(stage.retained("aws:rds/cluster:Cluster")).toBe(true);
      });

      test("allows the app only the bucket operations that files need", () => {
        const role = stage.one("aws:iam/role:Role", "PylonTaskRole");
        const statements = statementsOf(role);
        expect(statements.map(({ actions }) => [...actions].toSorted())).toEqual([
          [
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
          ],
          ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
          [
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
          ],
        ]);
        expect(statements[0]?.resources).toEqual([expect.stringMatching(/FilesBucket\/\*$/)]);
        expect(statements[1]?.resources).toEqual([expect.stringMatching(/FilesBucket$/)]);
        expect(JSON.stringify(stage.all("aws:iam/role:Role"))).not.toMatch(
          /AdministratorAccess|"(s3|ssm|rds):\*"/,
        );
      });

      test("allows ECS to read only the secrets of this stage for the container", () => {
        const [statement, ...others] = statementsOf(
          stage.one("aws:iam/role:Role", "PylonExecutionRole"),
        );
        expect(others).toEqual([]);
        expect(statement?.actions).toEqual(["ssm:GetParameters"]);
        expect(statement?.resources).toHaveLength(4);
        expect(statement?.resources.every((arn) => arn.includes("Parameter/"))).toBe(true);
      });

      test("keeps secrets in encrypted parameters, and nowhere in plain text", () => {
        const parameters = stage.all("aws:ssm/parameter:Parameter");
        expect(parameters.map(({ inputs }) => String(inputs["name"])).toSorted()).toEqual(
          [
            "DATABASE_URL",
            "PYLON_ADMIN_TOKEN",
            "PYLON_OAUTH_GITHUB_CLIENT_SECRET",
            "PYLON_SSO_ENCRYPTION_KEY",
          ].map((name) => `/pylon-app/production/${name}`),
        );
        expect(
          parameters.every(
            ({ inputs }) => inputs["type"] === "SecureString" && isSecret(inputs["value"]),
          ),
        ).toBe(true);
        const [container] = stage.containers();
        expect(container?.secrets.map(({ name }) => name).toSorted()).toEqual([
          "DATABASE_URL",
          "PYLON_ADMIN_TOKEN",
          "PYLON_OAUTH_GITHUB_CLIENT_SECRET",
          "PYLON_SSO_ENCRYPTION_KEY",
        ]);
        const elsewhere = JSON.stringify(
          stage.resources.filter(({ type }) => !HOLDERS_OF_SECRETS.includes(type)),
        );
        for (const secret of [...Object.values(SECRETS), ...PASSWORDS])
          expect(elsewhere).not.toContain(secret);
      });

      test("passes the database's URL with an encoded password and checked certificate", () => {
        const url = new URL(
          valueOf(stage.one("aws:ssm/parameter:Parameter", "DatabaseUrlParameter")["value"]),
        );
        expect(decodeURIComponent(url.password)).toBe("p@ss/word:of the proof");
        expect(url.searchParams.get("sslmode")).toBe("verify-full");
        const group = stage.all("aws:rds/clusterParameterGroup:ClusterParameterGroup")[0]?.inputs;
        expect(group?.["parameters"]).toEqual([{ name: "rds.force_ssl", value: "1" }]);
        expect(stage.one("aws:rds/cluster:Cluster")["dbClusterParameterGroupName"]).toBe(
          group?.["name"] ?? "DatabaseClusterParameterGroup",
        );
      });

      test("passes its public URL to the container, and trusts one proxy", () => {
        const [container] = stage.containers();
        const environment = Object.fromEntries(
          container?.environment.map(({ name, value }) => [name, value]) ?? [],
        );
        expect(environment).toMatchObject({
          PYLON_PUBLIC_URL: "https://api.example.com",
          PYLON_CORS_ORIGIN: "https://api.example.com",
          PYLON_TRUST_PROXY_HOPS: "1",
          PYLON_FILES_PROVIDER: "s3",
          PYLON_LOG_FORMAT: "json",
        });
        expect(container?.healthCheck.command).toEqual(["CMD", "pylon", "health"]);
      });

      test("puts CloudFront before pages: GETs without credentials, no API, no sockets", () => {
        const {
          defaultCacheBehavior: behavior,
          origins,
          orderedCacheBehaviors,
        } = stage.one("aws:cloudfront/distribution:Distribution") as {
          defaultCacheBehavior: Record<string, unknown>;
          origins: Record<string, unknown>[];
          orderedCacheBehaviors?: unknown;
        };
        expect(behavior).toMatchObject({
          allowedMethods: ["GET", "HEAD", "OPTIONS"],
          viewerProtocolPolicy: "redirect-to-https",
        });
        expect(orderedCacheBehaviors).toBeUndefined();
        expect(origins).toMatchObject([
          {
            domainName: "api.example.com",
            customOriginConfig: { originProtocolPolicy: "https-only" },
          },
        ]);
        const keys = stage.one("aws:cloudfront/cachePolicy:CachePolicy")[
          "parametersInCacheKeyAndForwardedToOrigin"
        ];
        expect(keys).toMatchObject({
          cookiesConfig: { cookieBehavior: "none" },
          headersConfig: { headers: { items: ["Origin"] } },
        });
        expect(stage.one("aws:cloudfront/originRequestPolicy:OriginRequestPolicy")).toMatchObject({
          cookiesConfig: { cookies: { items: ["AWSALB", "AWSALBCORS"] } },
          headersConfig: { headerBehavior: "none" },
        });
        const guard = edgeFunction(
          stage.one("aws:cloudfront/function:Function", "CdnGuard")["code"] as string,
        );
        const ask = (uri: string, headers = {}): unknown =>
          guard({ request: { uri, headers, querystring: {} } });
        for (const uri of ["/api/entities/Todo", "/ws", "/events", "/shards/arena"])
          expect(ask(uri)).toMatchObject({ statusCode: 421 });
        expect(ask("/", { upgrade: { value: "websocket" } })).toMatchObject({ statusCode: 421 });
        for (const uri of ["/assets/app.js", "/index-0a1b2c.css", "/apiary.svg"])
          expect(ask(uri)).toMatchObject({ uri });
      });

      test("keeps logs for three months, has alarms, and survives a removal", () => {
        expect(stage.one("aws:cloudwatch/logGroup:LogGroup")).toMatchObject({
          retentionInDays: 90,
        });
        expect(
          stage
            .all("aws:cloudwatch/metricAlarm:MetricAlarm")
            .map(({ name }) => name)
            .toSorted(),
        ).toEqual(
          [
            "DatabaseCapacity",
            "DatabaseConnections",
            ...ALARMS_OF_SERVICE.map((name) => `Pylon${name}`),
          ].map((name) => `${name}Alarm`),
        );
        expect(stage.app).toMatchObject({ removal: "retain", protect: true });
      });

      test("creates the domain's records and validates the certificate", () => {
        expect(
          stage.all("aws:route53/record:Record").map(({ inputs }) => inputs["name"]),
        ).toContain("api.example.com");
        expect(stage.one("aws:acm/certificate:Certificate")).toMatchObject({
          domainName: "api.example.com",
          validationMethod: "DNS",
        });
      });
    });

    test("another stage is removable, cheaper and has its own name", () => {
      const stage = evaluate("sst.config.ts", "pr-42");
      expect(stage.app).toMatchObject({ removal: "remove", protect: false });
      expect(stage.one("aws:ecs/service:Service")).toMatchObject({
        capacityProviderStrategies: [
          { capacityProvider: "FARGATE", weight: 0 },
          { capacityProvider: "FARGATE_SPOT", weight: 1 },
        ],
      });
      expect(stage.one("aws:rds/cluster:Cluster")).toMatchObject({
        deletionProtection: false,
        skipFinalSnapshot: true,
        backupRetentionPeriod: 1,
      });
      expect(stage.retained("aws:rds/cluster:Cluster")).toBe(false);
      expect(stage.one("aws:cloudwatch/logGroup:LogGroup")).toMatchObject({ retentionInDays: 7 });
      expect(stage.one("aws:lb/loadBalancer:LoadBalancer")).toMatchObject({
        enableDeletionProtection: false,
      });
      expect(stage.count("aws:cloudwatch/metricAlarm:MetricAlarm")).toBe(0);
      expect(stage.outputs).toMatchObject({ api: "https://pr-42.api.example.com" });
    });

    test("alarms are mailed to the configured address, in any stage", () => {
      const stage = evaluate("sst.config.ts", "staging", {
        PYLON_ALARM_EMAIL: "on-call@example.com",
      });
      expect(stage.one("aws:sns/topicSubscription:TopicSubscription")).toMatchObject({
        protocol: "email",
        endpoint: "on-call@example.com",
      });
      expect(stage.count("aws:cloudwatch/metricAlarm:MetricAlarm")).toBe(9);
      expect(stage.outputs["alarms"]).toContain("on-call@example.com");
    });

    test("efs: one container with its own disk, never two at once", () => {
      const stage = evaluate("sst.config.efs.ts", "production");
      expect(stage.one("aws:appautoscaling/target:Target")).toMatchObject({
        minCapacity: 1,
        maxCapacity: 1,
      });
      expect(stage.one("aws:ecs/service:Service")).toMatchObject({
        desiredCount: 1,
        deploymentMinimumHealthyPercent: 0,
        deploymentMaximumPercent: 100,
      });
      expect(stage.one("aws:efs/accessPoint:AccessPoint")).toMatchObject({
        posixUser: { uid: 10001, gid: 10001 },
        rootDirectory: { path: "/pylon" },
      });
      expect(stage.one("aws:efs/fileSystem:FileSystem")).toMatchObject({ encrypted: true });
      expect(stage.retained("aws:efs/fileSystem:FileSystem")).toBe(true);
      expect(stage.one("aws:efs/backupPolicy:BackupPolicy")).toMatchObject({
        backupPolicy: { status: "ENABLED" },
      });
      const disk = stage
        .all("aws:ec2/securityGroup:SecurityGroup")
        .find(({ name }) => name.startsWith("Data"));
      expect(disk?.inputs["ingress"]).toEqual([
        { fromPort: 2049, toPort: 2049, protocol: "tcp", securityGroups: ["TaskGroup-id"] },
      ]);
      const [container] = stage.containers();
      expect(container?.mountPoints).toMatchObject([{ containerPath: "/data" }]);
      expect(container?.environment).toContainEqual({
        name: "PYLON_DB_PATH",
        value: "/data/pylon.db",
      });
      expect(stage.count("aws:rds/cluster:Cluster")).toBe(0);
    });

    test("redis: a single node that only the containers can reach, its URL a secret", () => {
      const stage = evaluate("sst.config.redis.ts", "production");
      expect(stage.one("aws:elasticache/replicationGroup:ReplicationGroup")).toMatchObject({
        engine: "valkey",
        transitEncryptionEnabled: true,
        securityGroupIds: ["CacheGroup-id"],
      });
      expect(stage.one("aws:elasticache/replicationGroup:ReplicationGroup")["clusterMode"]).toBe(
        "disabled",
      );
      expect(stage.one("aws:elasticache/subnetGroup:SubnetGroup")["subnetIds"]).toEqual(
        PRIVATE_SUBNETS,
      );
      expect(
        stage.one("aws:elasticache/parameterGroup:ParameterGroup")["parameters"],
      ).toContainEqual({ name: "maxmemory-policy", value: "noeviction" });
      expect(stage.rulesInto("CacheGroup-id")).toEqual([
        { from: "TaskGroup-id", ports: [6379, 6379], protocol: "tcp" },
      ]);
      const url = new URL(
        valueOf(stage.one("aws:ssm/parameter:Parameter", "RedisUrlParameter")["value"]),
      );
      expect([url.protocol, decodeURIComponent(url.password)]).toEqual([
        "rediss:",
        "p@ss/word:of the proof",
      ]);
      const [container] = stage.containers();
      expect(container?.secrets.map(({ name }) => name)).toContain("REDIS_URL");
    });

    test("shards: one bigger container with its own name, besides the replicas", () => {
      const stage = evaluate("sst.config.shards.ts", "production");
      expect(stage.one("aws:ecs/taskDefinition:TaskDefinition", "ShardsTask")).toMatchObject({
        cpu: "1024",
        memory: "2048",
      });
      expect(stage.one("aws:ecs/service:Service", "ShardsService")).toMatchObject({
        desiredCount: 1,
        deploymentMinimumHealthyPercent: 0,
        deploymentMaximumPercent: 100,
      });
      expect(
        stage.one("aws:appautoscaling/target:Target", "ShardsAutoScalingTarget"),
      ).toMatchObject({ minCapacity: 1, maxCapacity: 1 });
      expect(stage.one("aws:appautoscaling/target:Target", "PylonAutoScalingTarget")).toMatchObject(
        { minCapacity: 1, maxCapacity: 4 },
      );
      expect(stage.outputs).toMatchObject({ shards: "https://shards.api.example.com" });
      expect(stage.rulesInto("TaskGroup-id").map(({ from }) => from)).toEqual([
        "PylonLoadBalancerSecurityGroup-id",
        "ShardsLoadBalancerSecurityGroup-id",
      ]);
    });

    test("nat-less: no public addresses, and endpoints for all that ECS needs", () => {
      const stage = evaluate("sst.config.nat-less.ts", "production");
      expect(stage.one("aws:ecs/service:Service")["networkConfiguration"]).toEqual({
        assignPublicIp: false,
        subnets: ["NetworkPrivateSubnet1-id", "NetworkPrivateSubnet2-id"],
        securityGroups: ["TaskGroup-id"],
      });
      const endpoints = stage.all("aws:ec2/vpcEndpoint:VpcEndpoint").map(({ inputs }) => inputs);
      expect(endpoints.map(({ serviceName }) => String(serviceName)).toSorted()).toEqual(
        ["ecr.api", "ecr.dkr", "logs", "s3", "ssm", "ssmmessages"].map(
          (service) => `com.amazonaws.us-east-1.${service}`,
        ),
      );
      expect(
        endpoints.find(({ vpcEndpointType }) => vpcEndpointType === "Gateway")?.["routeTableIds"],
      ).toEqual(["NetworkPrivateRouteTable1-id", "NetworkPrivateRouteTable2-id"]);
      expect(stage.rulesInto("EndpointGroup-id")).toEqual([
        { from: "TaskGroup-id", ports: [443, 443], protocol: "tcp" },
      ]);
      expect(stage.count("aws:ec2/natGateway:NatGateway")).toBe(0);
    });

    test("no shape has a NAT gateway or a secret in a task definition", () => {
      for (const shape of SHAPES) {
        const stage = evaluate(shape, "production");
        expect(stage.count("aws:ec2/natGateway:NatGateway")).toBe(0);
        const tasks = JSON.stringify(stage.all("aws:ecs/taskDefinition:TaskDefinition"));
        for (const secret of [...Object.values(SECRETS), ...PASSWORDS])
          expect(tasks).not.toContain(secret);
      }
    });

    test("S6: region, account and domain of a stage come from pylon.stages.ts", () => {
      const own = platform.project(FILES);
      try {
        writeFileSync(
          join(own, "pylon.stages.ts"),
          'export default { production: { region: "eu-central-1", account: "123456789012", ' +
            'domain: "own.example.com", architecture: "arm64", databaseReplicas: 1 } };',
        );
        const stage = new Stage(platform.evaluate(own, "sst.config.ts", "production", ENV));
        expect(stage.app.providers).toEqual({
          aws: { region: "eu-central-1", allowedAccountIds: ["123456789012"] },
        });
        expect(stage.outputs).toMatchObject({
          api: "https://own.example.com",
          region: "eu-central-1",
          notices: [
            expect.stringContaining("PYLON_DOMAIN"),
            expect.stringContaining("PYLON_SECRETS"),
          ],
        });
        expect(stage.one("aws:ecs/taskDefinition:TaskDefinition")).toMatchObject({
          runtimePlatform: { cpuArchitecture: "ARM64" },
        });
        expect(stage.count("aws:rds/clusterInstance:ClusterInstance")).toBe(2);
        expect(() => platform.evaluate(own, "sst.config.ts", "prod", ENV)).toThrow("no stage");
      } finally {
        rmSync(own, { recursive: true, force: true });
      }
    });

    describe("settings", () => {
      test.each([
        [
          "cloudflare",
          "cloudflare:index/dnsRecord:DnsRecord",
          { CLOUDFLARE_DEFAULT_ACCOUNT_ID: "account" },
        ],
        ["vercel", "vercel:index/dnsRecord:DnsRecord", {}],
      ])("the domain may be at %s", (host, record, env) => {
        const stage = evaluate("sst.config.ts", "production", {
          PYLON_DNS: host,
          PYLON_DNS_ZONE: "example.com",
          ...env,
        });
        expect(Object.keys(stage.app.providers)).toHaveLength(1);
        expect(stage.count("aws:route53/record:Record")).toBe(0);
        expect(
          stage.resources.filter(
            ({ type }) =>
              type.toLowerCase() === record.toLowerCase() || type.startsWith(`${host}:index`),
          ).length,
        ).toBeGreaterThan(0);
      });

      test.each([
        [{ PYLON_DOMAIN: "" }, "Set the domain of the stage production"],
        [{ PYLON_DOMAIN: "https://api.example.com" }, "PYLON_DOMAIN is"],
        [{ PYLON_DNS: "godaddy" }, "aws, cloudflare, vercel"],
        [{ PYLON_SECRETS: "github secret" }, "PYLON_SECRETS names"],
        [{ PYLON_VARIABLES: "PYLON_EMAIL_FROM" }, "PYLON_VARIABLES contains PYLON_EMAIL_FROM"],
        [{ PYLON_SECRETS: "PYLON_SMTP_URL" }, "PylonSmtpUrl"],
      ])("%p stops before anything is created, and names the setting", (env, message) => {
        expect(() => evaluate("sst.config.ts", "production", env)).toThrow(message);
      });

      test("pages under the CDN's own name may call the stage", () => {
        const stage = evaluate("sst.config.ts", "staging", { PYLON_CDN_DOMAIN: "www.example.com" });
        const [container] = stage.containers();
        expect(container?.environment).toContainEqual({
          name: "PYLON_CORS_ORIGIN",
          value: "https://staging.api.example.com,https://staging.www.example.com",
        });
        expect(stage.one("aws:cloudfront/distribution:Distribution")["aliases"]).toEqual([
          "staging.www.example.com",
        ]);
      });

      test("variables that are not secrets reach the container", () => {
        const stage = evaluate("sst.config.ts", "production", {
          PYLON_VARIABLES: "PYLON_EMAIL_FROM, PYLON_LOG_LEVEL",
          PYLON_EMAIL_FROM: "hi@example.com",
          PYLON_LOG_LEVEL: "debug",
        });
        const [container] = stage.containers();
        expect(container?.environment).toContainEqual({
          name: "PYLON_EMAIL_FROM",
          value: "hi@example.com",
        });
        expect(container?.environment).toContainEqual({ name: "PYLON_LOG_LEVEL", value: "debug" });
      });
    });
  });
}
