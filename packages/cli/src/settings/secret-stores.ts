import { existsSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "../output.ts";
import { ignoreInGit } from "../deploy/ignore-lines.ts";
import { needSst } from "../deploy/sst.ts";
import { EnvFile, SYSTEMD_FILE } from "./env-file.ts";
import { GENERATED_SECRETS, sstSecretName, variableOfSst } from "./production-secrets.ts";
import { isServerSetting } from "./variable-names.ts";

const PRODUCTION_FILE = ".env.production";

/** Where the secrets of production are stored. */
export interface SecretStore {
  /** A description of the place. */
  readonly place: string;
  /** Those of the names that have a value. */
  among(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** The names of all secrets in it. */
  all(): Promise<ReadonlySet<string>>;
  /** @returns notes on how they are stored @throws CommandError */
  set(values: Readonly<Record<string, string>>): Promise<readonly string[]>;
}

/**
 * `.env.production` in the app's folder, for `pylon start` on one's own machine; if only the file
 * for systemd exists, that one.
 */
export class EnvSecrets implements SecretStore {
  readonly place: string;
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
    this.place =
      existsSync(join(dir, SYSTEMD_FILE)) && !existsSync(join(dir, PRODUCTION_FILE))
        ? SYSTEMD_FILE
        : PRODUCTION_FILE;
  }

  among(names: readonly string[]): Promise<ReadonlySet<string>> {
    const file = this.#file();
    return Promise.resolve(new Set(names.filter((name) => file.has(name))));
  }

  all(): Promise<ReadonlySet<string>> {
    const file = this.#file();
    return Promise.resolve(
      new Set(Object.keys(file.values).filter((name) => file.has(name) && !isServerSetting(name))),
    );
  }

  set(values: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const file = this.#file();
    const notes = Object.entries(values).map(([name, value]) =>
      file.set(name, inOneLine(name, value), GENERATED_SECRETS[name]),
    );
    file.save();
    ignoreInGit(this.#dir, [".env.*"]);
    return Promise.resolve(notes.filter((note) => note !== null));
  }

  #file(): EnvFile {
    return new EnvFile(join(this.#dir, this.place));
  }
}

/** The server accepts `\n` for the line breaks of a provider's private key. */
function inOneLine(name: string, value: string): string {
  return /^PYLON_OAUTH_\w+_PRIVATE_KEY$/.test(name)
    ? value.trim().replaceAll(/\r?\n/g, "\\n")
    : value;
}

/** The message of `sst secret list` for a stage without secrets, with exit code 1. */
const NO_SECRETS = /^\W*No secrets found\s*$/;

/** The secrets of a stage, which SST stores encrypted in AWS. */
export class SstSecrets implements SecretStore {
  readonly place: string;
  readonly stage: string;
  readonly dir: string;

  constructor(dir: string, stage: string) {
    this.dir = dir;
    this.stage = stage;
    this.place = `the secrets of the stage ${stage}`;
  }

  async among(names: readonly string[]): Promise<ReadonlySet<string>> {
    const listed = await this.#names();
    return new Set(names.filter((name) => listed.has(sstSecretName(name))));
  }

  async all(): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#names())].map(variableOfSst));
  }

  async set(values: Readonly<Record<string, string>>): Promise<readonly string[]> {
    // By standard input, because arguments can be read by every user of the machine.
    for (const [name, value] of Object.entries(values))
      await this.#sst(["secret", "set", sstSecretName(name)], value);
    return [];
  }

  /** In the spelling of SST. */
  async #names(): Promise<ReadonlySet<string>> {
    const listed = await this.#sst(["secret", "list"], "", NO_SECRETS);
    return new Set([...listed.matchAll(/^([A-Z]\w*)=/gm)].map(([, name = ""]) => name));
  }

  /**
   * @param input its standard input
   * @param acceptable a message with which it fails although nothing is wrong
   * @returns the output of SST
   * @throws CommandError SECRETS_SST_FAILED with its message
   */
  async #sst(args: readonly string[], input: string, acceptable?: RegExp): Promise<string> {
    const child = Bun.spawn([needSst(this.dir), ...args, "--stage", this.stage], {
      cwd: this.dir,
      stdin: new Blob([input]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, error, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code === 0 || acceptable?.test(error) === true) return out;
    // Its stdout may contain values.
    throw new CommandError(
      "SECRETS_SST_FAILED",
      `\`sst ${args.join(" ")} --stage ${this.stage}\` failed: ` +
        `${error.trim() || "see .sst/log/sst.log"}`,
      code,
    );
  }
}
