import { describe, expect, test } from "bun:test";
import { isOAuthSecret } from "../../../packages/server/src/config/oauth-variables.ts";
import { VARIABLES } from "../../../packages/server/src/config/variables.ts";
import type { Variable } from "../../../packages/server/src/config/variables/variable.ts";
import { FILES } from "./stage.ts";

interface Settings {
  readonly domain: string;
  readonly alarmEmail: string | undefined;
  readonly secrets: readonly string[];
  readonly notices: readonly string[];
  readonly region: string | undefined;
  readonly variables: Readonly<Record<string, string>>;
}

// Imported by a computed name, because the types of `sst` are in SST's own platform.
const { readSettings } = (await import(`${FILES}/infra/settings.ts`)) as {
  readSettings: (
    stage: string,
    env: Readonly<Record<string, string>>,
    stages?: unknown,
  ) => Settings;
};

type Environment = Readonly<Record<string, string>>;

const { stageEnvironment } = (await import(`${FILES}/infra/stages.ts`)) as {
  stageEnvironment: (
    stage: string,
    env: Environment,
    stages: unknown,
  ) => { region?: string; account?: string; values: Environment; notices: readonly string[] };
};

const DOMAIN = { PYLON_DOMAIN: "api.example.com" };
const ofServer = Object.entries<Variable<unknown>>(VARIABLES)
  .filter(([, { secret }]) => secret === true)
  .map(([name]) => name);
const ofProviders = ["PYLON_OAUTH_GITHUB_CLIENT_SECRET", "PYLON_OAUTH_APPLE_PRIVATE_KEY"];

describe("a secret among the variables would be plain text in the task definition", () => {
  test("all secrets that the server declares are tested", () => {
    expect(ofServer).toContain("PYLON_ADMIN_TOKEN");
    expect(ofProviders.every(isOAuthSecret)).toBe(true);
  });

  test.each([
    ...ofServer,
    ...ofProviders,
    "STRIPE_SECRET",
    "STRIPE_API_KEY",
    "BOT_TOKEN",
    "LEGACY_PASSWORD",
  ])("%s is rejected", (name) => {
    const readIt = (): unknown =>
      readSettings("production", {
        ...DOMAIN,
        PYLON_VARIABLES: name,
        [name]: "value-of-the-secret",
      });
    expect(readIt).toThrow(`PYLON_VARIABLES contains ${name}`);
    expect(readIt).not.toThrow("value-of-the-secret");
  });

  test("a name that is already a secret is rejected, because ECS accepts it only once", () => {
    expect(() =>
      readSettings("production", {
        ...DOMAIN,
        PYLON_SECRETS: "WEBHOOK",
        PYLON_VARIABLES: "WEBHOOK",
        WEBHOOK: "x",
      }),
    ).toThrow("both contain WEBHOOK");
  });

  test.each([
    "PYLON_EMAIL_FROM",
    "PYLON_OAUTH_GITHUB_CLIENT_ID",
    "PYLON_OAUTH_APPLE_KEY_ID",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "KEYBOARD",
  ])("%s is accepted", (name) => {
    expect(
      readSettings("production", { ...DOMAIN, PYLON_VARIABLES: name, [name]: "x" }).variables,
    ).toEqual({ [name]: "x" });
  });
});

describe("a stage must not have a name of production", () => {
  test.each([
    ["shards", DOMAIN, "shards.api.example.com"],
    [
      "www",
      { PYLON_DOMAIN: "example.com", PYLON_CDN_DOMAIN: "www.example.com" },
      "www.example.com",
    ],
  ])("%s is rejected with %p", (stage, env, name) => {
    expect(() => readSettings(stage, env)).toThrow(name);
    expect(() => readSettings("staging", env)).not.toThrow();
  });

  test("a stage must have a valid name for a host", () => {
    expect(() => readSettings("PR-42", DOMAIN)).toThrow("lower-case letters");
  });

  test("CloudFront must have another name than the load balancer", () => {
    expect(() =>
      readSettings("production", { ...DOMAIN, PYLON_CDN_DOMAIN: "api.example.com" }),
    ).toThrow("PYLON_CDN_DOMAIN");
  });
});

test("the examples of names are known to the server", () => {
  for (const list of ["PYLON_SECRETS", "PYLON_VARIABLES"]) {
    const message = messageOf(() => readSettings("production", { ...DOMAIN, [list]: "no name" }));
    const examples = message.split("such as ")[1]?.match(/[A-Z][A-Z_]+/g) ?? [];
    expect(examples).toHaveLength(2);
    for (const name of examples)
      expect(name in VARIABLES || /^PYLON_OAUTH_GITHUB_CLIENT_(ID|SECRET)$/.test(name)).toBe(true);
  }
});

function messageOf(fails: () => unknown): string {
  try {
    fails();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("It was accepted.");
}

describe("S6: a stage is defined by pylon.stages.ts, on every machine", () => {
  const stages = {
    production: {
      region: "eu-central-1",
      account: "123456789012",
      domain: "api.example.com",
      alarmEmail: "on-call@example.com",
      secrets: ["PYLON_SMTP_URL"],
      variables: { PYLON_EMAIL_FROM: "hello@example.com" },
    },
    staging: { region: "eu-west-1", domain: "staging.example.com" },
    others: { region: "eu-central-1", domain: "previews.example.com" },
  };

  test("another environment changes nothing, and causes notices", () => {
    const settings = readSettings(
      "production",
      {
        PYLON_DOMAIN: "second.example.com",
        PYLON_EMAIL_FROM: "other@example.com",
        AWS_REGION: "us-east-1",
      },
      stages,
    );
    expect(settings).toMatchObject({
      region: "eu-central-1",
      domain: "api.example.com",
      alarmEmail: "on-call@example.com",
      secrets: ["PYLON_ADMIN_TOKEN", "PYLON_SSO_ENCRYPTION_KEY", "PYLON_SMTP_URL"],
      variables: { PYLON_EMAIL_FROM: "hello@example.com" },
    });
    expect(settings.notices.map((notice) => notice.split(" ")[0])).toEqual([
      "PYLON_DOMAIN",
      "PYLON_EMAIL_FROM",
      "AWS_REGION",
    ]);
    expect(readSettings("production", {}, stages).notices).toEqual([]);
  });

  test("a defined stage has its own name, others get names below a common one", () => {
    expect(readSettings("staging", {}, stages).domain).toBe("staging.example.com");
    expect(readSettings("pr-42", {}, stages)).toMatchObject({
      domain: "pr-42.previews.example.com",
      region: "eu-central-1",
    });
  });

  test("rejects a stage that is not in the file, so that a typo creates none", () => {
    const { production } = stages;
    expect(() => readSettings("prod", DOMAIN, { production })).toThrow(
      'There is no stage "prod" in pylon.stages.ts',
    );
  });

  test("rejects two stages with the same name", () => {
    const twice = { ...stages, staging: { domain: "api.example.com" } };
    expect(() => readSettings("staging", {}, twice)).toThrow("belongs to another stage");
  });

  test("without values in the file, the environment is used, with a notice", () => {
    const drafts = { production: { region: "", domain: "" }, others: { region: "", domain: "" } };
    const { domain, notices } = readSettings("pr-1", DOMAIN, drafts);
    expect(domain).toBe("pr-1.api.example.com");
    expect(notices).toEqual([expect.stringContaining("write it into pylon.stages.ts")]);
  });

  test.each([
    [{ region: "Frankfurt" }, 'invalid region "Frankfurt"'],
    [{ account: "my-account" }, 'invalid account "my-account"'],
    [{ architecture: "arm" }, 'the architecture "arm"'],
    [{ databaseReplicas: 16 }, "16 databaseReplicas"],
  ])("%j is rejected", (definition, message) => {
    expect(() => stageEnvironment("production", {}, { production: definition })).toThrow(message);
  });
});
