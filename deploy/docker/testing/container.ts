import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianProgram } from "../../../tests/support/servers/debian.ts";
import type { ImageConfig } from "./images.ts";
import { run } from "../../../tests/support/run.ts";

export interface ContainerOptions {
  /** The folder with the image's files. */
  readonly root: string;
  readonly config: ImageConfig;
  /** A folder for the files of the runtime. */
  readonly bundle: string;
  readonly env: Readonly<Record<string, string>>;
  /**
   * Folders of this machine by their path in the container; the suffix `:ro` makes one read-only.
   */
  readonly volumes: Readonly<Record<string, string>>;
}

const READ_ONLY = /:ro$/;

/**
 * Runs an image with its own configuration, with runc: separate processes and mounts, no
 * capabilities, a read-only root filesystem, and this machine's network.
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

  /**
   * Waits until the server in the container is ready. @throws Error with its output if it ends
   * instead
   */
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

  /** Runs a program in the container. @returns its exit code */
  async exec(command: readonly string[]): Promise<number> {
    return Bun.spawn([...this.#runc, "exec", this.#id, ...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    }).exited;
  }

  /** Returns the output of a program in the container. @throws Error if it fails */
  async read(command: readonly string[]): Promise<string> {
    return run([...this.#runc, "exec", this.#id, ...command]);
  }

  /** Stops the container like `docker stop`. @returns the exit code */
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
