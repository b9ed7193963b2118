import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { DEV_SCRIPT_TAG } from "./dev-reload.ts";

export interface WebAsset {
  readonly body: Blob;
  readonly type: string;
  /** The name says the content, so it may be kept for ever. */
  readonly immutable: boolean;
}

/** URL path to file; the page itself is `/`. */
export type WebAssets = ReadonlyMap<string, WebAsset>;

/** The page at `web/index.html` with its scripts and styles, bundled in memory at the first request, and the files of `public/`. */
export class WebBundle {
  readonly isDev: boolean;
  /** Another one after each change in `web/` or `public/`. */
  readonly version: string;
  readonly #root: string;
  #assets: Promise<WebAssets> | undefined;

  private constructor(root: string, dev: boolean) {
    this.#root = root;
    this.isDev = dev;
    this.version = versionOf([...filesIn(join(root, "web")), ...filesIn(join(root, "public"))]);
  }

  /** @returns null when the app has no page */
  static of(root: string, options: { readonly dev: boolean }): WebBundle | null {
    return existsSync(join(root, "web", "index.html")) ? new WebBundle(root, options.dev) : null;
  }

  /** @throws Error naming what the bundler found */
  assets(): Promise<WebAssets> {
    return (this.#assets ??= this.#build());
  }

  *#publicFiles(): Generator<[string, WebAsset]> {
    const folder = join(this.#root, "public");
    for (const file of filesIn(folder)) {
      const body = Bun.file(file);
      yield [`/${relative(folder, file).replaceAll(sep, "/")}`, { body, type: body.type, immutable: false }];
    }
  }

  async #build(): Promise<WebAssets> {
    const result = await Bun.build({
      entrypoints: [join(this.#root, "web", "index.html")],
      target: "browser",
      minify: !this.isDev,
      sourcemap: this.isDev ? "inline" : "none",
      publicPath: "/",
      define: { "process.env.NODE_ENV": JSON.stringify(this.isDev ? "development" : "production") },
      plugins: [ownCopies(this.#root)],
      throw: false,
    });
    if (!result.success) throw new Error(`web/ does not build: ${result.logs.map(String).join("; ")}`);
    const assets = new Map(this.#publicFiles());
    for (const output of result.outputs) {
      const path = output.path.replace(/^\.?\/?/, "/");
      const isPage = path.endsWith(".html");
      const body = isPage && this.isDev ? withDevScript(await output.text()) : output;
      assets.set(isPage ? "/" : path, { body, type: output.type, immutable: !isPage && output.hash !== null });
    }
    return assets;
  }
}

function withDevScript(html: string): Blob {
  return new Blob([html.includes("</head>") ? html.replace("</head>", () => `${DEV_SCRIPT_TAG}</head>`) : `${html}${DEV_SCRIPT_TAG}`]);
}

/** The files below a folder; hidden ones and packages are left out. */
function filesIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith(".") && name !== "node_modules")
    .flatMap((entry) => (entry.isDirectory() ? filesIn(join(dir, entry.name)) : [join(dir, entry.name)]));
}

function versionOf(files: readonly string[]): string {
  return Bun.hash(files.map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`).join("\n")).toString(36);
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
