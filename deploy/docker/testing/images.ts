import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianProgram } from "../../../tests/support/servers/debian.ts";
import { debianContext, nodeContext } from "./base-images.ts";
import { npmSettings } from "./npm-settings.ts";
import { run } from "../../../tests/support/run.ts";

const CACHE = join(import.meta.dir, "..", "..", "..", "node_modules", ".cache");

/** The settings in a Dockerfile for running its image. */
export interface ImageConfig {
  readonly User: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Volumes: Readonly<Record<string, object>>;
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

/** An exported image: its configuration, and its layers as tar files, which may be gzipped. */
export interface BuiltImage {
  readonly name: string;
  readonly config: ImageConfig;
  /** Digests of the layers before compression. */
  readonly layers: readonly string[];
  readonly layerFiles: readonly string[];
  /** The build commands, which anyone can read in the image. */
  readonly history: string;
}

/** The parameters of {@link Images.build}. */
export interface BuildOptions {
  readonly npmrc?: string;
  readonly isLayered?: boolean;
  readonly isCompressed?: boolean;
  readonly built?: string;
}

/** Builds images with buildah, without a Docker engine, in a separate storage. */
export class Images implements AsyncDisposable {
  readonly folder: string;
  readonly #buildah: readonly string[];

  private constructor(folder: string, program: string, driver: string) {
    this.folder = folder;
    this.#buildah = [
      program,
      "--root",
      join(folder, "storage"),
      "--runroot",
      join(folder, "run"),
      "--storage-driver",
      driver,
    ];
  }

  /**
   * Opens a storage with the base images of the Dockerfiles.
   *
   * @throws Error if Debian's packages are not available
   */
  static async open(): Promise<Images> {
    const program = debianProgram("buildah", "buildah");
    mkdirSync(CACHE, { recursive: true });
    const debian = await debianContext();
    const images = await Images.#withDebian(debian, program, "overlay").catch(() =>
      Images.#withDebian(debian, program, "vfs"),
    );
    await images.#make([
      "-t",
      "docker.io/library/node:20-bookworm-slim",
      await nodeContext(images.folder),
    ]);
    writeFileSync(join(images.folder, "npmrc"), await npmSettings(), { mode: 0o600 });
    return images;
  }

  /**
   * @param driver `overlay` is several times as fast as `vfs`, but does not work on every
   * filesystem
   */
  static async #withDebian(context: string, program: string, driver: string): Promise<Images> {
    const images = new Images(mkdtempSync(join(CACHE, "docker-test-")), program, driver);
    try {
      await images.#make(["-t", "docker.io/library/debian:bookworm-slim", context]);
      return images;
    } catch (error) {
      rmSync(images.folder, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Builds a Dockerfile.
   *
   * @param npmrc added to this machine's own npm settings
   * @param built a folder with what the stage `build` leaves, so that only the last stage is built.
   *   Its steps cost a few seconds, those of `build` half a minute
   * @param isLayered builds as Docker does: one layer per step, with cached layers reused.
   *   Otherwise everything is built again, as one layer
   * @param isCompressed whether the layers are compressed as for a registry, which takes long
   */
  async build(
    name: string,
    context: string,
    { npmrc = "", isLayered = false, isCompressed = true, built }: BuildOptions = {},
  ): Promise<BuiltImage> {
    const secret = join(this.folder, `${name}.npmrc`);
    writeFileSync(secret, readFileSync(join(this.folder, "npmrc"), "utf8") + npmrc, {
      mode: 0o600,
    });
    await this.#make([
      ...(isLayered ? ["--layers"] : ["--no-cache", "--layers=false"]),
      ...(built === undefined ? [] : ["--build-context", `build=${built}`]),
      "--timestamp",
      "0",
      "--secret",
      `id=npmrc,src=${secret}`,
      "-t",
      name,
      context,
    ]);
    const out = join(this.folder, "out", name);
    mkdirSync(out, { recursive: true });
    const options = isCompressed ? [] : ["--disable-compression"];
    await run([...this.#buildah, "push", ...options, name, `dir:${out}`]);
    const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8")) as {
      readonly config: { readonly digest: string };
      readonly layers: readonly { readonly digest: string }[];
    };
    const fileOf = (digest: string): string => join(out, digest.replace("sha256:", ""));
    const text = readFileSync(fileOf(manifest.config.digest), "utf8");
    const { config, rootfs, history } = JSON.parse(text) as {
      readonly config: ImageConfig;
      readonly rootfs: { readonly diff_ids: readonly string[] };
      readonly history: unknown;
    };
    return {
      name,
      config,
      layers: rootfs.diff_ids,
      layerFiles: manifest.layers.map(({ digest }) => fileOf(digest)),
      history: JSON.stringify(history),
    };
  }

  /** Unpacks the image's files into a folder that belongs to one container. */
  async unpack(image: BuiltImage): Promise<string> {
    const container = (await run([...this.#buildah, "from", "--pull=never", image.name])).trim();
    return (await run([...this.#buildah, "mount", container])).trim();
  }

  async #make(args: readonly string[]): Promise<void> {
    await run([
      ...this.#buildah,
      "build",
      "--isolation",
      "chroot",
      "--format",
      "docker",
      "--pull=never",
      "--network",
      "host",
      ...args,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (existsSync(join(this.folder, "storage"))) {
      await run([...this.#buildah, "rm", "--all"]);
      await run([...this.#buildah, "rmi", "--all", "--force"]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
