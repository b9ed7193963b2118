import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

const ROOT = join(import.meta.dir, "..", "..");
const TARBALL = "/-/package.tgz";

/** Pylon's own packages, packed as they would be published, in a registry on this machine. */
export class PackageRegistry implements AsyncDisposable {
  readonly #server: Bun.Server<undefined>;
  readonly #path: string;

  /** The packed packages by name. */
  readonly tarballs: ReadonlyMap<string, string>;

  private constructor(
    server: Bun.Server<undefined>,
    path: string,
    tarballs: ReadonlyMap<string, string>,
  ) {
    this.#server = server;
    this.#path = path;
    this.tarballs = tarballs;
  }

  /** @param folder for the packed packages @param names of the folders in packages/ */
  static async start(folder: string, names: readonly string[]): Promise<PackageRegistry> {
    const packed = new Map<
      string,
      { readonly file: string; readonly manifest: Readonly<Record<string, unknown>> }
    >();
    await run(["node", join(ROOT, "scripts", "build-packages.mjs"), folder, ...names]);
    for (const name of names) {
      const manifest = JSON.parse(
        readFileSync(join(ROOT, "packages", name, "package.json"), "utf8"),
      ) as Record<string, unknown>;
      packed.set(`@pylonsync/${name}`, {
        file: join(folder, `pylonsync-${name}-${String(manifest["version"])}.tgz`),
        manifest,
      });
    }
    // npm keeps what it has from an address, and a later run may get the same port.
    const root = `/${crypto.randomUUID()}/`;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch({ url }) {
        const path = decodeURIComponent(new URL(url).pathname).replace(root, "");
        const name = path.replace(TARBALL, "");
        const found = packed.get(name);
        if (found === undefined) return new Response("{}", { status: 404 });
        if (path.endsWith(TARBALL)) return new Response(Bun.file(found.file));
        const version = String(found.manifest["version"]);
        const dist = { tarball: new URL(`${root}${name}${TARBALL}`, url).href };
        return Response.json({
          name,
          "dist-tags": { latest: version },
          versions: { [version]: { ...found.manifest, dist } },
        });
      },
    });
    return new PackageRegistry(
      server,
      root,
      new Map([...packed].map(([name, { file }]) => [name, file])),
    );
  }

  /** The line for an .npmrc. */
  get npmrc(): string {
    return `@pylonsync:registry=http://127.0.0.1:${this.#server.port}${this.#path}\n`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
