import { deployFiles } from "../template-files.ts";
import type { DeployFile } from "./deploy-file.ts";
import { PRIVATE_FILES } from "./ignore-lines.ts";

/** The placeholder for the app's name in the files of deploy/. */
const PLACEHOLDER = /pylon-app/g;
const SHAPE_FILES = {
  default: "sst.config.ts",
  efs: "sst.config.efs.ts",
  redis: "sst.config.redis.ts",
  shards: "sst.config.shards.ts",
  "nat-less": "sst.config.nat-less.ts",
} as const;

/** A shape of a deployment on AWS. */
export type Shape = keyof typeof SHAPE_FILES;
/** All shapes. */
export const SHAPES = Object.keys(SHAPE_FILES) as readonly Shape[];

/** The targets that `pylon deploy` supports. */
export const TARGETS = ["sst", "docker", "compose", "fly", "systemd"] as const;
/** A target of `pylon deploy`. */
export type Target = (typeof TARGETS)[number];

/**
 * The database of a stage has the app's name, and RDS rejects the reserved words of SQL; these are
 * the ones that are plausible names of an app.
 */
const RESERVED = new Set(
  (
    "all analyze and any array as asc both case cast check collate column constraint create " +
    "current_date current_user default desc distinct do else end except false fetch for " +
    "foreign from grant group having in initially intersect into lateral leading like limit " +
    "localtime not null offset on only or order placing primary references returning select " +
    "session_user some symmetric table then to trailing true union unique user using variadic " +
    "when where window with"
  ).split(" "),
);

/** An app's name in a form that AWS, Fly, Docker and systemd all accept. */
export function deploymentName(appName: string): string {
  const name = appName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^[-0-9]+/, "")
    .slice(0, 40)
    .replace(/-$/, "");
  if (name === "") return "pylon-app";
  return RESERVED.has(name) ? `${name}-app` : name;
}

/**
 * The files of a target, by their path in the app's folder.
 *
 * @param shape the shape for SST; null omits its config
 */
export function filesOf(target: Target, name: string, shape: Shape | null): DeployFile[] {
  const from = (source: string, path: string): DeployFile => ({
    path,
    content: templateOf(source).replaceAll(PLACEHOLDER, name),
  });
  const image = [
    from("docker/app.Dockerfile", "Dockerfile"),
    from("docker/app.dockerignore", ".dockerignore"),
  ];
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
      return [
        ...(shape === null ? [] : [from(`sst/${SHAPE_FILES[shape]}`, "sst.config.ts")]),
        ...parts.map((source) => from(source, source.slice("sst/".length))),
        { ...from("sst/pylon.stages.ts", "pylon.stages.ts"), isFirstDraft: true },
        ...image,
      ];
    }
  }
}

/** The remaining manual steps. */
export function nextSteps(target: Target, name: string, stage: string | undefined): string[] {
  switch (target) {
    case "docker":
      return [
        "pylon secrets generate --target env",
        "Add PYLON_PUBLIC_URL, PYLON_CORS_ORIGIN and PYLON_TRUST_PROXY_HOPS to " +
          ".env.production: the public https address, the origins of your pages, and the number " +
          "of proxies in front.",
        "pylon doctor --production",
        `docker build -t ${name} .`,
        `docker run -d --name ${name} --restart unless-stopped --stop-timeout 30 -p ` +
          `4321:4321 -v ${name}-data:/data --env-file .env.production ${name}`,
      ];
    case "compose":
      return [
        "Set PYLON_PUBLIC_URL and PYLON_CORS_ORIGIN in .env.production to the public https " +
          "address.",
        "pylon doctor --production",
        "docker compose up -d --build",
      ];
    case "fly":
      return [
        "pylon secrets generate --target env",
        "pylon doctor --production",
        `fly apps create ${name}`,
        "fly secrets import < .env.production",
        "fly deploy --ha=false",
      ];
    case "systemd":
      return [
        // The unit can't access home folders, where npm and the installer put the command.
        Bun.isStandaloneExecutable
          ? `sudo install -m 755 ${process.execPath} /usr/local/bin/pylon`
          : "npx pylon compile --out pylon-executable && sudo install -m 755 pylon-executable " +
            "/usr/local/bin/pylon && rm pylon-executable",
        "Set PYLON_PUBLIC_URL and PYLON_CORS_ORIGIN in .env.systemd to the public https address.",
        "pylon doctor --production --env-file .env.systemd",
        `sudo mkdir -p /opt/${name} && tar -c ${exclusions()} . | sudo tar -x ` +
          `--no-same-owner -C /opt/${name} && sudo chmod -R u=rwX,go=rX /opt/${name}`,
        `sudo install -m 600 .env.systemd /etc/${name}.env`,
        `sudo install -m 644 pylon.service /etc/systemd/system/${name}.service`,
        `sudo systemctl daemon-reload && sudo systemctl enable --now ${name}`,
      ];
    case "sst":
      return [
        "Set the domain and region of your stages in pylon.stages.ts, and commit it.",
        `pylon secrets generate --target sst --stage ${stage ?? "production"}`,
        `pylon deploy --target sst --stage ${stage ?? "production"}`,
      ];
  }
}

/**
 * The arguments of `tar` that keep the private files of an app's folder out of a copy that other
 * users of a machine can read.
 */
function exclusions(): string {
  const patterns = [
    "/.git/",
    ".env*",
    ...PRIVATE_FILES.filter((pattern) => !pattern.startsWith(".env")),
  ];
  // A pattern of git that ends with a slash matches folders only: `uploads.ts` of the app is
  // copied, the contents of `uploads.before-...` are not.
  const asTar = patterns.map((pattern) =>
    pattern.replace(/^\//, "./").replace(/\*\/$/, "*/*").replace(/\/$/, ""),
  );
  return asTar.map((pattern) => `--exclude='${pattern}'`).join(" ");
}

function templateOf(source: string): string {
  const content = deployFiles()[source];
  if (content === undefined)
    throw new Error(`This build of the command does not contain ` + `${source}.`);
  return content;
}
