import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { DEV_SCRIPT_TAG } from "./dev-reload.ts";
import { WebAsset } from "./web-asset.ts";

/** URL path to file; the page itself is `/`. */
type WebAssets = ReadonlyMap<string, WebAsset>;

/** A file of `public/` as it was last seen, and the asset that was made of it. */
interface PublicFile {
  readonly version: string;
  readonly asset: WebAsset;
}

/**
 * The page at `web/index.html` with its scripts and styles, bundled in memory at the first request,
 * and the files of `public/`.
 */
export class WebBundle {
  readonly isDev: boolean;
  /** Another one after each change in `web/` or `public/`. */
  readonly version: string;
  readonly #root: string;
  readonly #public = new Map<string, PublicFile>();
  #assets: Promise<WebAssets> | undefined;
  #publicPaths: ReadonlyMap<string, string> | undefined;

  private constructor(root: string, dev: boolean) {
    this.#root = root;
    this.isDev = dev;
    this.version = versionOf([...filesIn(join(root, "web")), ...filesIn(join(root, "public"))]);
  }

  /** @returns null when the app has no page */
  static of(root: string, options: { readonly dev: boolean }): WebBundle | null {
    return existsSync(join(root, "web", "index.html")) ? new WebBundle(root, options.dev) : null;
  }

  /** What was bundled. @throws Error naming what the bundler found */
  assets(): Promise<WebAssets> {
    return (this.#assets ??= this.#build());
  }

  /**
   * The file of the page at this path, as it is now; null when there is none.
   *
   * @throws Error naming what the bundler found
   */
  async asset(path: string): Promise<WebAsset | null> {
    const built = (await this.assets()).get(path);
    if (built !== undefined) return built;
    const file = (this.#publicPaths ??= this.#findPublic()).get(path);
    return file === undefined ? null : this.#publicAsset(file);
  }

  /** URL path to file. Which there are is seen once; what is in them may change. */
  #findPublic(): ReadonlyMap<string, string> {
    const folder = join(this.#root, "public");
    return new Map(
      filesIn(folder).map((file) => [`/${relative(folder, file).replaceAll(sep, "/")}`, file]),
    );
  }

  #publicAsset(file: string): WebAsset | null {
    const stat = statSync(file, { throwIfNoEntry: false });
    // A link may lead to a folder.
    if (stat?.isFile() !== true) return null;
    const version = Bun.hash(`${stat.size} ${stat.mtimeMs}`).toString(36);
    const known = this.#public.get(file);
    if (known?.version === version) return known.asset;
    const body = Bun.file(file);
    const asset = new WebAsset(body, {
      type: body.type,
      immutable: false,
      version,
      compresses: !this.isDev,
    });
    this.#public.set(file, { version, asset });
    return asset;
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
    if (!result.success)
      throw new Error(`web/ does not build: ${result.logs.map(String).join("; ")}`);
    const assets = new Map<string, WebAsset>();
    for (const output of result.outputs) {
      const path = output.path.replace(/^\.?\/?/, "/");
      const isPage = path.endsWith(".html");
      const bytes =
        isPage && this.isDev
          ? withDevScript(await output.text())
          : new Uint8Array(await output.arrayBuffer());
      const version = Bun.hash(bytes).toString(36);
      assets.set(
        isPage ? "/" : path,
        new WebAsset(new Blob([bytes]), {
          type: output.type,
          immutable: !isPage && output.hash !== null,
          version,
          compresses: !this.isDev,
        }),
      );
    }
    return assets;
  }
}

function withDevScript(html: string): string {
  return html.includes("</head>")
    ? html.replace("</head>", () => `${DEV_SCRIPT_TAG}</head>`)
    : `${html}${DEV_SCRIPT_TAG}`;
}

/** The files below a folder; hidden ones and packages are left out. */
function filesIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith(".") && name !== "node_modules")
    .flatMap((entry) =>
      entry.isDirectory() ? filesIn(join(dir, entry.name)) : [join(dir, entry.name)],
    );
}

function versionOf(files: readonly string[]): string {
  return Bun.hash(
    files.map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`).join("\n"),
  ).toString(36);
}

/** Packages that the app has not installed come from where the server has them. */
function ownCopies(root: string): Bun.BunPlugin {
  return {
    name: "pylon-own-copies",
    setup(build) {
      build.onResolve(
        { filter: /^(@pylonsync\/|react$|react\/|react-dom$|react-dom\/)/ },
        ({ path }) => {
          for (const from of [root, import.meta.dir]) {
            try {
              return { path: Bun.resolveSync(path, from) };
            } catch {
              continue;
            }
          }
          return undefined;
        },
      );
    },
  };
}
