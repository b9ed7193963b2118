// Runs a config's app() and run() with the real SST components, with Pulumi's mocks in place of
// AWS, and reports the resulting resources. node evaluate.mjs FOLDER: FOLDER contains the configs
// and SST's installed platform. Each line of the input requests one evaluation, whose result is
// written to a file.
//
// One process runs many evaluations: loading Pulumi and AWS's resources takes longer than an
// evaluation. State that SST's components and the config keep is not shared between evaluations,
// because both are loaded again for each.
//
// With PROOF_SERVES=ARN the services report this task definition after the deployment, as after a
// rollback; with PROOF_PREVIEW=1 nothing is deployed.
import { createHash } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { compileFunction, constants } from "node:vm";

const [folder] = process.argv.slice(2);
const platform = join(folder, ".sst", "platform");
const requirePlatform = createRequire(join(platform, "package.json"));
const esbuild = requirePlatform("esbuild");
// The mocks only affect the copy of Pulumi that SST's components import.
const { runtime } = requirePlatform("@pulumi/pulumi");
const { runInPulumiStack } = requirePlatform("@pulumi/pulumi/runtime");

/** `sst` and `aws` are available in every config without an import. */
const program = (config) => `
import * as aws from "@pulumi/aws";
import * as sst from "./src/components/index";
import { run } from "./src/auto/run";
import config from ${JSON.stringify(join(folder, config))};
Object.assign(globalThis, { aws, sst });
export default () => run(config.run);`;
/** Bundled code by its source. */
const bundles = new Map();
const bootstrap = await startBootstrap();
const environment = { ...process.env, SST_SERVER: `http://127.0.0.1:${bootstrap.address().port}` };
// Pulumi records a stack for each of its promises: a quarter of the CPU time of an evaluation.
Error.stackTraceLimit = 0;
const NO_OPTIONS = { ignoreChanges: [], retainOnDelete: false };
let resources = [];
let options = new Map();
watchOptions(requirePlatform("@pulumi/pulumi/runtime/mocks").MockMonitor);

for await (const line of createInterface({ input: process.stdin })) {
  const { config, stage, env, outcome } = JSON.parse(line);
  const say = (found) => {
    // Written atomically: the waiting test must find the complete file.
    writeFileSync(`${outcome}.part`, JSON.stringify(found));
    renameSync(`${outcome}.part`, outcome);
  };
  const failure = {};
  failure.promise = new Promise((_resolve, reject) => (failure.reject = reject));
  // SST's components also reject promises that nothing waits for, and more than one of them.
  process.on("unhandledRejection", failure.reject).on("uncaughtException", failure.reject);
  try {
    say({ evaluation: await Promise.race([evaluate(config, stage, env), failure.promise]) });
  } catch (error) {
    // Promises may still be running, which must not reach the next evaluation.
    await settled();
    // Pulumi would report these promises at a regular end of the process.
    process.exitCode = 1;
    say({ error: String(error?.stack ?? error) });
  }
  process.off("unhandledRejection", failure.reject).off("uncaughtException", failure.reject);
}
process.exit();

async function evaluate(config, stage, env) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment, env);
  resources = [];
  options = new Map();
  await runtime.setMocks({ newResource, call }, "pylon", stage, env.PROOF_PREVIEW === "1");
  const app = await bundled(`export { default } from ${JSON.stringify(join(folder, config))};`, {
    name: "",
    stage,
  });
  const declared = await app.default.app({ stage });
  const deployment = await bundled(program(config), {
    ...declared,
    removal: declared.removal ?? "remove",
    stage,
    providers: declared.providers ?? {},
  });
  const outputs = await runInPulumiStack(async () => deployment.default());
  await settled();
  return { app: declared, resources, outputs: await plain(outputs) };
}

/**
 * Bundles code once, and runs it with the globals that SST's own bundler provides to a config. They
 * are parameters of the run, so that nothing of it reaches the next one.
 */
async function bundled(source, app) {
  const code = bundles.get(source) ?? (await bundle(source));
  bundles.set(source, code);
  const cli = {
    command: "deploy",
    env: {},
    paths: { home: join(folder, ".config"), root: folder, work: join(folder, ".sst"), platform },
    state: { version: {} },
  };
  const module = { exports: {} };
  // Its imports are those of a file in the platform's folder.
  const run = compileFunction(code, ["module", "exports", "require", "$app", "$cli"], {
    filename: join(platform, "proof.cjs"),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  run(module, module.exports, requirePlatform, app, cli);
  return module.exports;
}

async function bundle(source) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: source, resolveDir: platform, loader: "ts" },
    write: false,
    bundle: true,
    packages: "external",
    format: "cjs",
    platform: "node",
    target: "node20",
    logLevel: "error",
    define: { $dev: "false" },
    inject: [join(platform, "src/shim/run.js")],
  });
  return outputFiles[0].text;
}

/** Records the options of resources, which mocks do not receive. */
function watchOptions({ prototype }) {
  const register = prototype.registerResource;
  prototype.registerResource = function (request, callback) {
    options.set(`${request.getType()} ${request.getName()}`, {
      ignoreChanges: request.getIgnorechangesList(),
      retainOnDelete: request.getRetainondelete(),
    });
    return register.call(this, request, callback);
  };
}

/** The response of AWS, as far as SST's components read it. */
function newResource({ type, name, inputs, id }) {
  const arn = `arn:aws:mock:us-east-1:123456789012:${type.split(":").at(-1)}/${name}`;
  resources.push({ type, name, inputs, ...NO_OPTIONS, ...options.get(`${type} ${name}`) });
  return {
    id: id || `${name}-id`,
    state: {
      arn,
      name,
      ...inputs,
      arnSuffix: `app/${name}/0123456789abcdef`,
      dnsName: `${name.toLowerCase()}.elb.example`,
      zoneId: "Z0000000000000",
      endpoint: `${name.toLowerCase()}.rds.example`,
      readerEndpoint: `${name.toLowerCase()}-ro.rds.example`,
      primaryEndpointAddress: `${name.toLowerCase()}.cache.example`,
      configurationEndpointAddress: `${name.toLowerCase()}.cache.example`,
      clusterIdentifier: `${name.toLowerCase()}-cluster`,
      port: inputs.port ?? 5432,
      cidrBlock: inputs.cidrBlock ?? "10.0.0.0/16",
      domainName: inputs.domainName ?? `${name.toLowerCase()}.example`,
      bucketRegionalDomainName: `${name.toLowerCase()}.s3.example`,
      domainValidationOptions: [
        {
          domainName: inputs.domainName ?? "",
          resourceRecordName: "_proof.example.com",
          resourceRecordType: "CNAME",
          resourceRecordValue: "_value.example.com",
        },
      ],
      digest: "sha256:0123",
      ref: "image",
      memberClusters: [`${name.toLowerCase()}-001`],
      ...(type === "aws:ssm/parameter:Parameter" ? { version: versionOf(inputs.value) } : {}),
      ...(type === "random:index/randomPassword:RandomPassword"
        ? { result: "p@ss/word:of the proof" }
        : {}),
      ...(type === "random:index/randomString:RandomString" ? { result: "abcdefgh" } : {}),
    },
  };
}

/** AWS counts the changes of a value; here it is a number that differs if the value does. */
function versionOf(value) {
  return createHash("sha256").update(JSON.stringify(value)).digest().readUInt16BE();
}

function call({ token, inputs }) {
  switch (token) {
    case "aws:index/getRegion:getRegion":
      return { name: "us-east-1", region: "us-east-1", id: "us-east-1" };
    case "aws:index/getCallerIdentity:getCallerIdentity":
      return { accountId: "123456789012" };
    case "aws:index/getPartition:getPartition":
      return { partition: "aws", dnsSuffix: "amazonaws.com" };
    case "aws:index/getAvailabilityZones:getAvailabilityZones":
      return { names: ["us-east-1a", "us-east-1b"], zoneIds: ["use1-az1", "use1-az2"] };
    case "aws:iam/getPolicyDocument:getPolicyDocument":
      return {
        statements: inputs.statements,
        json: JSON.stringify({ Version: "2012-10-17", Statement: inputs.statements }),
      };
    case "aws:route53/getZone:getZone":
      return { zoneId: "Z1111111111111", name: "example.com" };
    case "aws:ecr/getAuthorizationToken:getAuthorizationToken":
      return { proxyEndpoint: "https://ecr.example", userName: "AWS", password: "ecr-password" };
    case "aws:cloudfront/getCachePolicy:getCachePolicy":
      return { id: "cache-policy" };
    case "aws:ecs/getService:getService": {
      const service = resources.find(
        ({ type, inputs: { name } }) =>
          type === "aws:ecs/service:Service" && name === inputs.serviceName,
      );
      return {
        ...inputs,
        taskDefinition: process.env.PROOF_SERVES ?? service.inputs.taskDefinition,
      };
    }
    default:
      return inputs;
  }
}

/** SST requests the buckets of the account's bootstrap from its own process. */
function startBootstrap() {
  const answer = {
    asset: "asset-bucket",
    assetEcrRegistryId: "123456789012",
    assetEcrUrl: "123456789012.ecr.example/sst",
    state: "state-bucket",
    appsyncHttp: "",
    appsyncRealtime: "",
  };
  const server = createServer((_request, response) =>
    response.end(JSON.stringify({ result: answer })),
  );
  // SST reuses a connection, however long an evaluation later takes.
  server.keepAliveTimeout = 0;
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/**
 * Resources are registered in promises that wait for each other: no new ones for a while means that
 * all are registered.
 */
async function settled() {
  let seen = -1;
  while (seen !== resources.length) {
    seen = resources.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function plain(outputs) {
  const found = outputs?.promise === undefined ? outputs : await outputs.promise(true);
  return JSON.parse(
    JSON.stringify(found ?? {}, (key, value) =>
      typeof value === "bigint" ? String(value) : value,
    ),
  );
}
