import { join } from "node:path";
import { EnvFile } from "../settings/env-file.ts";
import { GENERATED_SECRETS, NEEDED_SECRETS, randomSecret } from "../settings/production-secrets.ts";
import type { WrittenFile } from "./deploy-file.ts";

const LOCAL_ORIGIN = "http://localhost:4321";
/** There is a web server in front that terminates TLS: it reports the client's address. */
const ONE_PROXY = "1";

/**
 * Writes the variables of a stage on one's own machine, with random secrets; variables that a file
 * has already are kept.
 */
export function writeComposeEnvironment(dir: string): WrittenFile[] {
  const postgres = new EnvFile(join(dir, ".env.postgres"));
  const password = postgres.values["POSTGRES_PASSWORD"] ?? randomSecret();
  const user = `pylon:${encodeURIComponent(password)}`;
  const app = {
    ...common(),
    DATABASE_URL: `postgres://${user}@postgres:5432/pylon?sslmode=disable`,
    REDIS_URL: "redis://redis:6379",
    PYLON_FILES_DIR: "/data/uploads",
  };
  return [
    complete(postgres, dir, { POSTGRES_PASSWORD: password }),
    complete(new EnvFile(join(dir, ".env.production")), dir, app),
  ];
}

/** The same for systemd: the service's unit specifies where its data is. */
export function writeSystemdEnvironment(dir: string): WrittenFile[] {
  return [complete(new EnvFile(join(dir, ".env.systemd")), dir, common())];
}

function common(): Record<string, string> {
  return {
    PYLON_PUBLIC_URL: LOCAL_ORIGIN,
    PYLON_CORS_ORIGIN: LOCAL_ORIGIN,
    PYLON_TRUST_PROXY_HOPS: ONE_PROXY,
    ...Object.fromEntries(NEEDED_SECRETS.map((name) => [name, randomSecret()])),
  };
}

function complete(
  file: EnvFile,
  dir: string,
  values: Readonly<Record<string, string>>,
): WrittenFile {
  const path = file.path.slice(dir.length + 1);
  const missing = Object.entries(values).filter(([name]) => !file.has(name));
  if (missing.length === 0) return { path, state: "unchanged" };
  for (const [name, value] of missing) file.set(name, value, COMMENTS[name]);
  file.save();
  return { path, state: "written" };
}

const COMMENTS: Readonly<Record<string, string>> = {
  PYLON_PUBLIC_URL: "The public https address, and the origins of your pages: change both.",
  PYLON_TRUST_PROXY_HOPS: "The number of proxies in front of the server.",
  ...GENERATED_SECRETS,
};
