import { join } from "node:path";
import { CommandError } from "../output.ts";
import { ignoreInGit } from "../deploy/ignore-lines.ts";
import { needSst } from "../deploy/sst.ts";
import { EnvFile } from "./env-file.ts";
import { GENERATED_SECRETS, sstSecretName } from "./production-secrets.ts";

/** Where the secrets of production are kept. */
export interface SecretStore {
  /** In words. */
  readonly place: string;
  /** Those of the names that have a value. */
  among(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** @throws CommandError */
  set(values: Readonly<Record<string, string>>): Promise<void>;
}

/** `.env.production` in the app's folder, for `pylon start` on a machine of one's own. */
export class EnvSecrets implements SecretStore {
  readonly place = ".env.production";
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  among(names: readonly string[]): Promise<ReadonlySet<string>> {
    const file = this.#file();
    return Promise.resolve(new Set(names.filter((name) => file.has(name))));
  }

  set(values: Readonly<Record<string, string>>): Promise<void> {
    const file = this.#file();
    for (const [name, value] of Object.entries(values)) file.set(name, value, GENERATED_SECRETS[name]);
    file.save();
    ignoreInGit(this.#dir, [".env.*"]);
    return Promise.resolve();
  }

  #file(): EnvFile {
    return new EnvFile(join(this.#dir, this.place));
  }
}

/** The secrets of a stage, which SST keeps encrypted in AWS. */
export class SstSecrets implements SecretStore {
  readonly place: string;
  readonly #dir: string;
  readonly #stage: string;

  constructor(dir: string, stage: string) {
    this.#dir = dir;
    this.#stage = stage;
    this.place = `the secrets of the stage ${stage}`;
  }

  async among(names: readonly string[]): Promise<ReadonlySet<string>> {
    const listed = await this.#sst(["secret", "list"], "");
    const known = new Set([...listed.matchAll(/^([A-Z]\w*)=/gm)].map(([, name]) => name));
    return new Set(names.filter((name) => known.has(sstSecretName(name))));
  }

  async set(values: Readonly<Record<string, string>>): Promise<void> {
    // By standard input: arguments can be read by every user of the machine.
    for (const [name, value] of Object.entries(values)) await this.#sst(["secret", "set", sstSecretName(name)], value);
  }

  /** @returns what SST printed @throws CommandError SECRETS_SST_FAILED with what it said */
  async #sst(args: readonly string[], input: string): Promise<string> {
    const child = Bun.spawn([needSst(this.#dir), ...args, "--stage", this.#stage], { cwd: this.#dir, stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" });
    const [out, error, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    if (code === 0) return out;
    // What it prints on stdout may hold values.
    throw new CommandError("SECRETS_SST_FAILED", `\`sst ${args.join(" ")} --stage ${this.#stage}\` failed: ${error.trim() || "see .sst/log/sst.log"}`, code);
  }
}
