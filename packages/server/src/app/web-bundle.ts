import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, join, relative, sep } from "node:path";
import { isAppFile } from "./app-graph.ts";
import { devScriptTag } from "./dev-reload.ts";
import { addPageImport, forgetPageImports, pageImports } from "./page-imports.ts";
import { decodedPath, hasContentHash, publicFiles, realPathInside } from "./public-files.ts";
import { WebAsset } from "./web-asset.ts";
import { WebBuildError, webProblem } from "./web-problem.ts";

/** URL path to file; the page itself is `/`. */
type WebAssets = ReadonlyMap<string, WebAsset>;

/** A file of `public/` as it was last read, and the asset that was created from it. */
interface PublicFile {
  readonly version: string;
  readonly asset: WebAsset;
}

/**
 * The page at `web/index.html` with its scripts and styles, bundled in memory at the first request,
 * and the files of `public/`. Without a `web/index.html`, `public/index.html` is the page, which
 * another tool has built.
 */
export class WebBundle {
  readonly isDev: boolean;
  /** Whether there is a page; otherwise there are only files of `public/`. */
  readonly hasPage: boolean;
  /** Differs after each change in `web/` or `public/`. */
  readonly version: string;
  readonly #root: string;
  readonly #public = new Map<string, PublicFile>();
  #assets: Promise<WebAssets> | undefined;
  #publicPaths: ReadonlyMap<string, string> | undefined;

  private constructor(root: string, dev: boolean) {
    this.#root = root;
    this.isDev = dev;
    this.hasPage = hasBundledPage(root) || existsSync(join(root, "public", "index.html"));
    this.version = versionOf([
      ...filesIn(join(root, "web")),
      ...publicFiles(join(root, "public")).values(),
      ...pageImports(root),
    ]);
  }

  /** @returns null when the app has neither a page nor files in `public/` */
  static of(root: string, options: { readonly dev: boolean }): WebBundle | null {
    return hasBundledPage(root) || existsSync(join(root, "public"))
      ? new WebBundle(root, options.dev)
      : null;
  }

  /**
   * Returns the paths of all files: those of the bundle, and those of `public/`.
   *
   * @throws WebBuildError
   */
  async paths(): Promise<string[]> {
    return [...new Set([...(await this.assets()).keys(), ...this.#publicFiles().keys()])];
  }

  /** Returns the bundled files. @throws WebBuildError */
  assets(): Promise<WebAssets> {
    if (this.#assets === undefined) {
      const built = this.#build();
      this.#assets = built;
      // A missing package may have been installed, which causes no save.
      if (this.isDev) built.catch(() => (this.#assets = undefined));
    }
    return this.#assets;
  }

  /**
   * Returns the current file of the page at this path, or null if there is none.
   *
   * @throws WebBuildError
   */
  async asset(path: string): Promise<WebAsset | null> {
    const built = (await this.assets()).get(path);
    if (built !== undefined) return built;
    const file = this.#publicFiles().get(path === "/" ? "/index.html" : decodedPath(path));
    return file === undefined ? null : this.#publicAsset(file);
  }

  /** The list of files is read once; their contents may change. */
  #publicFiles(): ReadonlyMap<string, string> {
    this.#publicPaths ??= publicFiles(this.#publicFolder);
    return this.#publicPaths;
  }

  get #publicFolder(): string {
    return join(this.#root, "public");
  }

  #publicAsset(file: string): WebAsset | null {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) return null;
    // It may have been replaced by a link.
    if (realPathInside(file, realpathSync(this.#publicFolder)) === null) return null;
    const version = Bun.hash(`${stat.size} ${stat.mtimeMs}`).toString(36);
    const known = this.#public.get(file);
    if (known?.version === version) return known.asset;
    const body = Bun.file(file);
    const asset = new WebAsset(body, {
      type: typeOf(file, body),
      // In dev mode a wrong guess would show an old file after a save.
      immutable: !this.isDev && hasContentHash(relative(this.#publicFolder, file)),
      version,
      compresses: !this.isDev,
    });
    this.#public.set(file, { version, asset });
    return asset;
  }

  async #build(): Promise<WebAssets> {
    if (!hasBundledPage(this.#root)) return new Map();
    const result = await Bun.build({
      entrypoints: [join(this.#root, "web", "index.html")],
      target: "browser",
      // Code that a page needs later, or rarely, is a separate file.
      splitting: true,
      minify: !this.isDev,
      sourcemap: this.isDev ? "inline" : "none",
      publicPath: "/",
      define: { "process.env.NODE_ENV": JSON.stringify(this.isDev ? "development" : "production") },
      plugins: [ownCopies(this.#root), ...(this.isDev ? [noteOutside(this.#root)] : [])],
      throw: false,
    });
    if (!result.success)
      throw new WebBuildError(
        result.logs
          .filter(({ level }) => level === "error")
          .map((log) => webProblem(log, this.#root)),
      );
    const assets = new Map<string, WebAsset>();
    for (const output of result.outputs) {
      const path = output.path.replace(/^\.?\/?/, "/");
      const isPage = path.endsWith(".html");
      const bytes =
        isPage && this.isDev
          ? withScript(await output.text(), devScriptTag("web", this.version))
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

/** Whether the app has a page that the server bundles. */
function hasBundledPage(root: string): boolean {
  return existsSync(join(root, "web", "index.html"));
}

/** A file without an extension is text, such as ACME challenges, or JSON for Apple. */
function typeOf(file: string, { type }: Blob): string {
  const name = basename(file);
  if (name === "apple-app-site-association") return "application/json";
  return name.includes(".") || !file.includes(`${sep}.well-known${sep}`)
    ? type
    : "text/plain;charset=utf-8";
}

function withScript(html: string, tag: string): string {
  return html.includes("</head>")
    ? html.replace("</head>", () => `${tag}</head>`)
    : `${html}${tag}`;
}

/** Lists the files below a folder; hidden ones and packages are omitted. */
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

/**
 * Records what a page imports from the rest of the app and from packages of the same workspace:
 * saving those files changes the page.
 */
function noteOutside(root: string): Bun.BunPlugin {
  forgetPageImports(root);
  return {
    name: "pylon-files-outside-of-web",
    setup(build) {
      build.onLoad({ filter: /.*/, namespace: "file" }, ({ path }) => {
        if (isAppFile(path) && !path.startsWith(join(root, "web") + sep)) addPageImport(root, path);
        return undefined;
      });
    },
  };
}

/** Resolves packages that the app has not installed to the server's copies. */
function ownCopies(root: string): Bun.BunPlugin {
  return {
    name: "pylon-own-copies",
    setup(build) {
      build.onResolve(
        { filter: /^(@pylonsync\/|react$|react\/|react-dom$|react-dom\/)/ },
        ({ path }) => resolved(path, root),
      );
      // Its entry for production blocks the page while WebAssembly loads, and expects its own URL
      // for that; this one waits for it.
      build.onResolve({ filter: /^loro-crdt$/ }, () => resolved("loro-crdt/bundler", root));
    },
  };
}

function resolved(path: string, root: string): { readonly path: string } | undefined {
  for (const from of [root, import.meta.dir]) {
    try {
      return { path: Bun.resolveSync(path, from) };
    } catch {
      continue;
    }
  }
  return undefined;
}
