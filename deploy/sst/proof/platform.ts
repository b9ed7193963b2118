import { spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeOnce } from "../../../scripts/once.mjs";

const EVALUATE = join(import.meta.dir, "evaluate.mjs");
const ROOT = join(import.meta.dir, "..", "..", "..");
const CACHE = join(ROOT, "node_modules", ".cache", "pylon-sst");
/** The compiler of this repository, which takes a fifth of the CPU time of SST's own version. */
const TSC = join(ROOT, "node_modules", ".bin", "tsc");
/** The time after which an evaluation is considered to hang, in milliseconds. */
const EVALUATION_MS = 120_000;
const POLL_MS = 10;
/** With these variables SST only connects to npm, and never looks for credentials. */
export const QUIET = {
  SST_SKIP_DEPENDENCY_CHECK: "1",
  NO_BUN: "1",
  SST_TELEMETRY_DISABLED: "1",
  AWS_EC2_METADATA_DISABLED: "true",
};

/** A resource as a component requested it from AWS. */
export interface Resource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Inputs whose changes do not update the resource. */
  readonly ignoreChanges: readonly string[];
  /** Whether it outlives the removal of its stage. */
  readonly retainOnDelete: boolean;
}

export interface Evaluation {
  /** The result of `app()`. */
  readonly app: {
    readonly name: string;
    readonly removal: string;
    readonly protect: boolean;
    readonly providers: Readonly<Record<string, unknown>>;
  };
  readonly resources: readonly Resource[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** Whether npm's registry responds, so that SST can be installed. */
export function canInstall(version: string): boolean {
  return (
    existsSync(join(CACHE, version)) ||
    spawnSync("npm", ["view", `sst@${version}`, "version", "--fetch-retries=0"], {
      stdio: "ignore",
    }).status === 0
  );
}

/** A process that evaluates the configs of a folder, one after the other. */
class Evaluator {
  readonly #folder: string;
  readonly #process: Bun.Subprocess<"pipe", "ignore", "inherit">;

  constructor(folder: string) {
    this.#folder = folder;
    this.#process = Bun.spawn(["node", EVALUATE, folder], {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...QUIET },
      stdin: "pipe",
      stdout: "ignore",
      stderr: "inherit",
    });
    // It ends with its input, and must not keep the tests' process alive.
    this.#process.unref();
  }

  /** @throws Error with the message with which the config or SST rejected the input */
  evaluate(config: string, stage: string, env: Readonly<Record<string, string>>): Evaluation {
    const outcome = join(this.#folder, `.outcome-${randomUUID()}.json`);
    void this.#process.stdin.write(`${JSON.stringify({ config, stage, env, outcome })}\n`);
    void this.#process.stdin.flush();
    for (let waitedMs = 0; !existsSync(outcome); waitedMs += POLL_MS) {
      if (waitedMs > EVALUATION_MS) throw new Error(`The evaluation of ${config} did not end.`);
      Bun.sleepSync(POLL_MS);
    }
    const { evaluation, error } = JSON.parse(readFileSync(outcome, "utf8")) as {
      readonly evaluation?: Evaluation;
      readonly error?: string;
    };
    if (evaluation === undefined) throw new Error(error);
    return evaluation;
  }
}

/** The real SST with its components, installed once. */
export class SstPlatform {
  readonly #home: string;
  readonly #evaluators = new Map<string, Evaluator>();

  /** @throws Error with the output of npm or SST, if it cannot be installed */
  constructor(version: string) {
    this.#home = join(CACHE, version);
    makeOnce(
      `${this.#home}.lock`,
      () => existsSync(this.#home),
      () => install(version, this.#home),
    );
  }

  /** Creates a folder with SST's platform and the given files, like an app's folder. */
  project(files: string): string {
    const folder = mkdtempSync(join(tmpdir(), "pylon-sst-"));
    cpSync(files, folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
    mkdirSync(join(folder, ".sst"));
    // A symbolic link would lead SST's bundler out of the folder; hard links cost neither time nor
    // space.
    spawnSync("cp", [
      "-al",
      join(this.#home, ".sst", "platform"),
      join(folder, ".sst", "platform"),
    ]);
    this.linkInto(folder);
    return folder;
  }

  /** Adds the command `sst` to a folder, as `npm install` would. */
  linkInto(folder: string): void {
    symlinkSync(join(this.#home, "node_modules"), join(folder, "node_modules"));
  }

  /**
   * @returns the compiler's errors for the config and its parts, with the types of SST's platform;
   * empty if there are none
   */
  typeErrors(folder: string): string {
    const config = {
      extends: "./.sst/platform/tsconfig.json",
      compilerOptions: {
        noEmit: true,
        strict: true,
        skipLibCheck: true,
        typeRoots: ["./.sst/platform/node_modules/@types"],
        types: ["node"],
        // TypeScript 7 no longer has this option, and rejects it.
        downlevelIteration: null,
      },
      include: ["sst.config*.ts", "infra/**/*.ts"],
    };
    writeFileSync(join(folder, "tsconfig.sst.json"), JSON.stringify(config));
    const { status, stdout } = spawnSync(TSC, ["--singleThreaded", "-p", "tsconfig.sst.json"], {
      cwd: folder,
      encoding: "utf8",
    });
    if (status === 0) return "";
    // SST's own sources are written for an older compiler.
    return stdout
      .split(/^(?=\S)/m)
      .filter((error) => !error.startsWith(".sst/platform/"))
      .join("");
  }

  /**
   * Runs a config as a deployment would, with mocks in place of AWS. The result is cached until the
   * config or its parts change: an evaluation takes seconds, and many tests use it.
   *
   * @param env the environment of the deployment; secrets are `SST_SECRET_<Name>`
   * @throws Error with the message with which the config or SST rejected the input
   */
  evaluate(
    folder: string,
    config: string,
    stage: string,
    env: Readonly<Record<string, string>>,
  ): Evaluation {
    const kept = join(CACHE, "evaluations", `${this.#keyOf(folder, [config, stage], env)}.json`);
    if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8")) as Evaluation;
    const evaluator = this.#evaluators.get(folder) ?? new Evaluator(folder);
    this.#evaluators.set(folder, evaluator);
    const evaluation = evaluator.evaluate(config, stage, env);
    mkdirSync(dirname(kept), { recursive: true });
    // Written atomically, because another process may read it at any moment.
    writeFileSync(`${kept}.${process.pid}`, JSON.stringify(evaluation));
    renameSync(`${kept}.${process.pid}`, kept);
    return evaluation;
  }

  /** A hash of everything that an evaluation depends on. */
  #keyOf(folder: string, args: readonly string[], env: Readonly<Record<string, string>>): string {
    const hash = createHash("sha256").update(JSON.stringify([this.#home, args, env]));
    const files = ["*.ts", "infra/*.ts"]
      .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(folder)])
      .toSorted();
    for (const file of files) hash.update(file).update(readFileSync(join(folder, file)));
    return hash.update(readFileSync(EVALUATE)).digest("hex");
  }
}

/** Installs with this Bun, which takes a fifth of npm's CPU time. */
function install(version: string, home: string): void {
  const folder = `${home}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, devDependencies: { sst: version } }),
  );
  writeFileSync(
    join(folder, "sst.config.ts"),
    `export default $config({ app: () => ({ name: "proof", home: "aws" }), async run() {} });`,
  );
  const config = join(folder, ".config");
  // Where SST expects the Bun that it would otherwise download.
  mkdirSync(join(config, "sst", "bin"), { recursive: true });
  symlinkSync(process.execPath, join(config, "sst", "bin", "bun"));
  const env = {
    ...process.env,
    ...QUIET,
    NO_BUN: "",
    SST_BUN_PATH: process.execPath,
    SST_BUN_VERSION: Bun.version,
    XDG_CONFIG_HOME: config,
  };
  for (const [command, ...args] of [
    [process.execPath, "install"],
    [join(folder, "node_modules", ".bin", "sst"), "install", "--stage", "proof"],
  ] as const) {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      env,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stdout}${stderr}`);
  }
  if (readdirSync(join(folder, ".sst", "platform", "node_modules")).length === 0)
    throw new Error("SST installed no packages for its platform.");
  renameSync(folder, home);
  rmSync(join(home, "sst.config.ts"));
}
