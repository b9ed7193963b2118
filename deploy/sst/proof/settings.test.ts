import { describe, expect, test } from "bun:test";
import { isOAuthSecret } from "../../../packages/server/src/config/oauth-variables.ts";
import { VARIABLES, type Variable } from "../../../packages/server/src/config/variables.ts";
import { FILES } from "./stage.ts";

interface Settings {
  readonly variables: Readonly<Record<string, string>>;
}

// By a name that the compiler does not follow: the types of `sst` are in SST's own platform.
const { readSettings } = (await import(`${FILES}/infra/settings.ts`)) as {
  readSettings: (stage: string, env: Readonly<Record<string, string>>) => Settings;
};

const DOMAIN = { PYLON_DOMAIN: "api.example.com" };
const ofServer = Object.entries<Variable<unknown>>(VARIABLES)
  .filter(([, { secret }]) => secret === true)
  .map(([name]) => name);
const ofProviders = ["PYLON_OAUTH_GITHUB_CLIENT_SECRET", "PYLON_OAUTH_APPLE_PRIVATE_KEY"];

describe("a secret among the variables would be plain text in the task definition", () => {
  test("all that the server calls one are tried", () => {
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
  ])("%s is refused", (name) => {
    const readIt = (): unknown =>
      readSettings("production", {
        ...DOMAIN,
        PYLON_VARIABLES: name,
        [name]: "value-of-the-secret",
      });
    expect(readIt).toThrow(`PYLON_VARIABLES names ${name}`);
    expect(readIt).not.toThrow("value-of-the-secret");
  });

  test("what is a secret already is refused, for ECS takes a name once", () => {
    expect(() =>
      readSettings("production", {
        ...DOMAIN,
        PYLON_SECRETS: "WEBHOOK",
        PYLON_VARIABLES: "WEBHOOK",
        WEBHOOK: "x",
      }),
    ).toThrow("both name WEBHOOK");
  });

  test.each([
    "PYLON_EMAIL_FROM",
    "PYLON_OAUTH_GITHUB_CLIENT_ID",
    "PYLON_OAUTH_APPLE_KEY_ID",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "KEYBOARD",
  ])("%s is taken", (name) => {
    expect(
      readSettings("production", { ...DOMAIN, PYLON_VARIABLES: name, [name]: "x" }).variables,
    ).toEqual({ [name]: "x" });
  });
});

describe("a stage has no name of production's", () => {
  test.each([
    ["shards", DOMAIN, "shards.api.example.com"],
    [
      "www",
      { PYLON_DOMAIN: "example.com", PYLON_CDN_DOMAIN: "www.example.com" },
      "www.example.com",
    ],
  ])("%s is refused with %p", (stage, env, name) => {
    expect(() => readSettings(stage, env)).toThrow(name);
    expect(() => readSettings("staging", env)).not.toThrow();
  });

  test("nor one that can't be a part of a host name", () => {
    expect(() => readSettings("PR-42", DOMAIN)).toThrow("small letters");
  });

  test("and CloudFront has another name than the load balancer", () => {
    expect(() =>
      readSettings("production", { ...DOMAIN, PYLON_CDN_DOMAIN: "api.example.com" }),
    ).toThrow("PYLON_CDN_DOMAIN");
  });
});

test("the examples of names are some that the server knows", () => {
  for (const list of ["PYLON_SECRETS", "PYLON_VARIABLES"]) {
    const message = messageOf(() =>
      readSettings("production", { ...DOMAIN, [list]: "no name" } as Record<string, string>),
    );
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
