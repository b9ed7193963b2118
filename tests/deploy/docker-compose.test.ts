import { expect, test } from "bun:test";
import { join } from "node:path";
import { YAML } from "bun";
import { loadConfig } from "@pylonsync/server";

const text = await Bun.file(join(import.meta.dir, "..", "..", "docker-compose.dev.yml")).text();
const { services } = YAML.parse(text) as {
  services: Readonly<
    Record<
      string,
      {
        readonly image: string;
        readonly profiles?: readonly string[];
        readonly ports?: readonly string[];
        readonly environment?: Readonly<Record<string, string>>;
      }
    >
  >;
};

test("Postgres starts by default, the rest by profile, and all on loopback", () => {
  expect(services["db"]?.image).toStartWith("postgres:16");
  expect(
    Object.entries(services)
      .filter(([, { profiles }]) => profiles === undefined)
      .map(([name]) => name),
  ).toEqual(["db"]);
  for (const { ports = [] } of Object.values(services))
    for (const port of ports) expect(port).toStartWith("127.0.0.1:");
});

test("the lines that it names for .env refer to its services", () => {
  const env = Object.fromEntries(
    [...text.matchAll(/^#\s+([A-Z0-9_]+)=(\S+)$/gm)].map(([, name = "", value = ""]) => [
      name,
      value,
    ]),
  );
  const { database, redisUrl, files } = loadConfig({ ...env, PYLON_DEV_MODE: "1" });
  const {
    POSTGRES_USER: user,
    POSTGRES_PASSWORD: password,
    POSTGRES_DB: name,
  } = services["db"]?.environment ?? {};
  expect(database).toMatchObject({
    kind: "postgres",
    url: `postgres://${user}:${password}@localhost:5432/${name}`,
  });
  expect(redisUrl).toBe("redis://localhost:6379");
  const minio = services["minio"]?.environment ?? {};
  expect(files).toMatchObject({
    provider: "s3",
    s3: {
      bucket: "pylon",
      endpoint: "http://localhost:9000",
      credentials: {
        accessKeyId: minio["MINIO_ROOT_USER"],
        secretAccessKey: minio["MINIO_ROOT_PASSWORD"],
      },
    },
  });
});
