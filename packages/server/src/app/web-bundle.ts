import { existsSync } from "node:fs";
import { join } from "node:path";

export interface WebAsset {
  readonly body: Blob;
  readonly type: string;
  /** The name says the content, so it may be kept for ever. */
  readonly immutable: boolean;
}

/** URL path to file; the page itself is `/`. */
export type WebAssets = ReadonlyMap<string, WebAsset>;

/** The page at `web/index.html` with its scripts and styles, bundled in memory at the first request. */
export class WebBundle {
  readonly #root: string;
  readonly #dev: boolean;
  #assets: Promise<WebAssets> | undefined;

  private constructor(root: string, dev: boolean) {
    this.#root = root;
    this.#dev = dev;
  }

  /** @returns null when the app has no page */
  static of(root: string, options: { readonly dev: boolean }): WebBundle | null {
    return existsSync(join(root, "web", "index.html")) ? new WebBundle(root, options.dev) : null;
  }

  /** @throws Error naming what the bundler found */
  assets(): Promise<WebAssets> {
    return (this.#assets ??= this.#build());
  }

  async #build(): Promise<WebAssets> {
    const result = await Bun.build({
      entrypoints: [join(this.#root, "web", "index.html")],
      target: "browser",
      minify: !this.#dev,
      sourcemap: this.#dev ? "inline" : "none",
      publicPath: "/",
      define: { "process.env.NODE_ENV": JSON.stringify(this.#dev ? "development" : "production") },
      plugins: [ownCopies(this.#root)],
      throw: false,
    });
    if (!result.success) throw new Error(`web/ does not build: ${result.logs.map(String).join("; ")}`);
    const assets = new Map<string, WebAsset>();
    for (const output of result.outputs) {
      const path = output.path.replace(/^\.?\/?/, "/");
      const isPage = path.endsWith(".html");
      assets.set(isPage ? "/" : path, { body: output, type: output.type, immutable: !isPage && output.hash !== null });
    }
    return assets;
  }
}

/** Packages that the app has not installed come from where the server has them. */
function ownCopies(root: string): Bun.BunPlugin {
  return {
    name: "pylon-own-copies",
    setup(build) {
      build.onResolve({ filter: /^(@pylonsync\/|react$|react\/|react-dom$|react-dom\/)/ }, ({ path }) => {
        for (const from of [root, import.meta.dir]) {
          try {
            return { path: Bun.resolveSync(path, from) };
          } catch {
            continue;
          }
        }
        return undefined;
      });
    },
  };
}
