import { deployFiles } from "../template-files.ts";
import type { DeployFile } from "./deploy-file.ts";

/** The name that the files in deploy/ stand under. */
const PLACEHOLDER = /pylon-app/g;
const SHAPE_FILES = { default: "sst.config.ts", efs: "sst.config.efs.ts", redis: "sst.config.redis.ts", shards: "sst.config.shards.ts", "nat-less": "sst.config.nat-less.ts" } as const;

export type Shape = keyof typeof SHAPE_FILES;
export const SHAPES = Object.keys(SHAPE_FILES) as readonly Shape[];

/** Where an app can be deployed to by files of ours. */
export const TARGETS = ["sst", "docker", "compose", "fly", "systemd"] as const;
export type Target = (typeof TARGETS)[number];

/** An app's name as AWS, Fly, Docker and systemd all take it. */
export function deploymentName(appName: string): string {
  const name = appName.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^[-0-9]+|-+$/g, "").slice(0, 40);
  return name === "" ? "pylon-app" : name;
}

/** The files of a target, by their place in the app's folder. @param shape of SST; null leaves its config out */
export function filesOf(target: Target, name: string, shape: Shape | null): DeployFile[] {
  const from = (source: string, path: string): DeployFile => ({ path, content: templateOf(source).replaceAll(PLACEHOLDER, name) });
  const image = [from("docker/app.Dockerfile", "Dockerfile"), from("docker/app.dockerignore", ".dockerignore")];
  switch (target) {
    case "docker":
      return image;
    case "compose":
      return [...image, from("compose/docker-compose.yml", "docker-compose.yml")];
    case "fly":
      return [...image, from("fly/fly.toml", "fly.toml")];
    case "systemd":
      return [from("systemd/pylon.service", "pylon.service")];
    case "sst": {
      const parts = Object.keys(deployFiles()).filter((source) => source.startsWith("sst/infra/"));
      return [...(shape === null ? [] : [from(`sst/${SHAPE_FILES[shape]}`, "sst.config.ts")]), ...parts.map((source) => from(source, source.slice("sst/".length))), ...image];
    }
  }
}

/** What is to be done by hand after that. */
export function nextSteps(target: Target, name: string, stage: string | undefined): string[] {
  switch (target) {
    case "docker":
      return [`docker build -t ${name} .`, `docker run -p 4321:4321 -v ${name}:/data --env-file .env.production ${name}`, "Make .env.production with `pylon secrets generate`, and check it with `pylon doctor --production`."];
    case "compose":
      return ["Set PYLON_PUBLIC_URL and PYLON_CORS_ORIGIN in .env.production to the https address that people will use.", "pylon doctor --production", "docker compose up -d --build"];
    case "fly":
      return [`fly apps create ${name}`, "pylon secrets generate --target env && fly secrets import < .env.production", "fly deploy --ha=false"];
    case "systemd":
      return [
        "Set PYLON_PUBLIC_URL and PYLON_CORS_ORIGIN in .env.systemd to the https address that people will use.",
        `sudo cp -r . /opt/${name} && sudo install -m 600 .env.systemd /etc/${name}.env`,
        `sudo install -m 644 pylon.service /etc/systemd/system/${name}.service`,
        `sudo systemctl daemon-reload && sudo systemctl enable --now ${name}`,
      ];
    case "sst":
      return ["Set PYLON_DOMAIN in .env to the name that clients will use.", `pylon secrets generate --target sst --stage ${stage ?? "production"}`, `pylon deploy --target sst --stage ${stage ?? "production"}`];
  }
}

function templateOf(source: string): string {
  const content = deployFiles()[source];
  if (content === undefined) throw new Error(`The command was built without ${source}.`);
  return content;
}
