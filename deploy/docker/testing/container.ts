import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianProgram } from "../../../tests/support/servers/debian.ts";
import type { ImageConfig } from "./images.ts";
import { run } from "../../../tests/support/run.ts";

export interface ContainerOptions {
  /** The image's files. */
  readonly root: string;
  readonly config: ImageConfig;
  /** A folder for what the runtime writes. */
  readonly bundle: string;
  readonly env: Readonly<Record<string, string>>;
  /**
   * Folders of this machine by where they are in the container; a `:ro` behind that makes one
   * read-only.
   */
  readonly volumes: Readonly<Record<string, string>>;
}

const READ_ONLY = /:ro$/;

/**
 * An image that runs as it says itself, by runc: own processes and mounts, no capability, root
 * filesystem read-only, this machine's network.
 */
export class Container implements AsyncDisposable {
  readonly #id = `pylon-test-${crypto.randomUUID()}`;
  readonly #runc: readonly string[];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly stderr: Promise<string>;

  constructor({ root, config, bundle, env, volumes }: ContainerOptions) {
    const [uid = 0, gid = 0] = config.User.split(":").map(Number);
    const bind = Object.entries(volumes).map(([to, from]) => ({
      type: "bind",
      source: from,
      destination: to.replace(READ_ONLY, ""),
      options: ["rbind", READ_ONLY.test(to) ? "ro" : "rw"],
    }));
    const spec = {
      ociVersion: "1.0.2",
      process: {
        user: { uid, gid },
        args: [...config.Entrypoint, ...config.Cmd],
        env: [...config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
        cwd: config.WorkingDir,
        noNewPrivileges: true,
        capabilities: {},
      },
      root: { path: root, readonly: true },
      mounts: [
        { type: "proc", source: "proc", destination: "/proc" },
        { type: "tmpfs", source: "tmpfs", destination: "/dev", options: ["nosuid", "mode=755"] },
        { type: "tmpfs", source: "tmpfs", destination: "/tmp", options: ["mode=1777"] },
        ...bind,
      ],
      linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "ipc" }, { type: "uts" }] },
    };
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
    this.#runc = [debianProgram("runc", "runc"), "--root", join(bundle, "state")];
    this.#child = Bun.spawn([...this.#runc, "run", "--bundle", bundle, this.#id], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.stderr = new Response(this.#child.stderr).text();
  }

  /** Waits until the server in it is ready. @throws Error with what it said when it ends instead */
  async ready(url: string): Promise<void> {
    while (
      !(await fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ))
    ) {
      if (this.#child.exitCode !== null)
        throw new Error(`The container ended with ${this.#child.exitCode}: ${await this.stderr}`);
      await Bun.sleep(20);
    }
  }

  /** Runs a program in it. @returns its exit code */
  async exec(command: readonly string[]): Promise<number> {
    return Bun.spawn([...this.#runc, "exec", this.#id, ...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    }).exited;
  }

  /** What a program in it prints. @throws Error when it fails */
  async read(command: readonly string[]): Promise<string> {
    return run([...this.#runc, "exec", this.#id, ...command]);
  }

  /** As `docker stop` does. @returns the exit code */
  async stop(signal: string): Promise<number> {
    await run([...this.#runc, "kill", this.#id, signal]);
    return this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    await run([...this.#runc, "kill", this.#id, "KILL"]);
    await this.#child.exited;
  }
}
