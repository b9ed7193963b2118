// npm run build:packages -- [FOLDER] [PACKAGE...]: builds the npm packages as they are published,
// each as one .tgz. Default: all, into dist/packages.
//
// Code that runs in browsers, in Node or in an app's own bundler is compiled to JavaScript with
// declarations: a project's tsc would check TypeScript sources of a package by the project's own
// rules. The server as a library only runs on Bun, and stays as it is. The command is bundled, so
// that it starts fast; its sources are included for `pylon compile` and for debuggers.
//
// All packages are built together, and kept until a source changes: the tests, the quick start and
// the walkthrough all install them.
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { bun, installPackages, root, run } from "./install.mjs";
import { makeOnce } from "./once.mjs";
import { filesBelow } from "./test-files.mjs";

const COMPILED = [
  "functions",
  "workflows",
  "protocol",
  "query",
  "sdk",
  "sync",
  "react",
  "react-native",
  "vue",
  "svelte",
  "solid",
  "tanstack-db",
  "next",
  "testing",
  "loro",
];
const AS_THEY_ARE = ["server"];
const NAMES = [...COMPILED, ...AS_THEY_ARE, "studio", "cli"];
const CACHE = join(root, "node_modules", ".cache", "pylon-packages");
/** The time for which packages of earlier sources are kept, in milliseconds. */
const KEPT_MS = 60 * 60 * 1000;

const [given = join(root, "dist", "packages"), ...only] = process.argv.slice(2);
if (given.startsWith("-")) {
  console.error("npm run build:packages -- [FOLDER] [PACKAGE...]");
  process.exit(given === "--help" ? 0 : 64);
}
installPackages();
const unknown = only.filter((name) => !NAMES.includes(name));
if (unknown.length > 0) {
  console.error(`There is no package ${unknown.join(", ")}: they are ${NAMES.join(", ")}.`);
  process.exit(64);
}
const built = builtPackages();
const folder = resolve(given);
mkdirSync(folder, { recursive: true });
for (const name of only.length === 0 ? NAMES : only) {
  const { version } = readManifest(join(root, "packages", name));
  const file = `pylonsync-${name}-${version}.tgz`;
  cpSync(join(built, file), join(folder, file));
  console.log(file);
}

/** @returns the folder with the current packages, which are built if they are not there */
function builtPackages() {
  const kept = join(CACHE, sourcesHash());
  makeOnce(
    `${kept}.lock`,
    () => existsSync(kept),
    () => {
      const scratch = mkdtempSync(join(tmpdir(), "pylon-packages-"));
      const part = mkdtempSync(`${kept}.part-`);
      try {
        build(scratch, part);
        renameSync(part, kept);
      } finally {
        for (const path of [scratch, part]) rmSync(path, { recursive: true, force: true });
      }
      forgetOld(kept);
    },
  );
  return kept;
}

/** A hash of everything that the packages are built from. */
function sourcesHash() {
  const hash = createHash("sha256");
  const files = [
    ...["LICENSE", "package-lock.json", "tsconfig.json", "docs/errors.md"],
    ...["deploy", "examples/todo", "packages", "scripts"].flatMap((below) =>
      [...filesBelow(root, below)].toSorted(),
    ),
  ];
  for (const file of files) {
    const content = readFileSync(join(root, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 32);
}

/** Deletes the packages of earlier sources, except for those that may still be in use. */
function forgetOld(kept) {
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    const madeAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (name !== basename(kept) && Date.now() - madeAt > KEPT_MS)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Builds all packages into the folder `out`. */
function build(scratch, out) {
  compile(scratch, COMPILED);
  const paths = [
    ...COMPILED.map((name) => assemble(scratch, name)),
    ...AS_THEY_ARE.map((name) => assembleSources(scratch, name)),
    assembleStudio(scratch),
    assembleCommand(scratch),
  ];
  // In one run: starting npm takes longer than packing a package.
  run("npm", ["pack", "--silent", "--pack-destination", out, ...paths], {
    cwd: scratch,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/**
 * Compiles all at once, because they import each other; one output file per source, below
 * scratch/out/NAME/src.
 */
function compile(scratch, names) {
  const packages = join(root, "packages");
  const config = join(scratch, "tsconfig.json");
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    rootDir: packages,
    outDir: join(scratch, "out"),
    typeRoots: [join(root, "node_modules", "@types")],
  };
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions,
      include: names.map((name) => join(packages, name, "src")),
      exclude: ["**/*.test.ts", "**/*.test.tsx", "**/src/**/testing/**"].map((pattern) =>
        join(packages, pattern),
      ),
    }),
  );
  run(join(root, "node_modules", ".bin", "tsc"), ["-p", config]);
}

/** Assembles the package's folder as it is published. @returns its path */
function assemble(scratch, name) {
  const [from, to] = [join(root, "packages", name), join(scratch, "packages", name)];
  cpSync(join(scratch, "out", name, "src"), join(to, "dist"), { recursive: true });
  // Files that are not TypeScript are unchanged: styles, and files that a tool of Node loads.
  const written = readdirSync(join(from, "src"), { recursive: true, withFileTypes: true }).filter(
    (file) => file.isFile() && (!/\.tsx?$/.test(file.name) || file.name.endsWith(".d.ts")),
  );
  for (const file of written) {
    const path = join(file.parentPath, file.name).slice(join(from, "src").length + 1);
    cpSync(join(from, "src", path), join(to, "dist", path));
  }
  for (const file of ["README.md", "LICENSE"])
    if (existsSync(join(from, file))) cpSync(join(from, file), join(to, file));
  const { devDependencies: _, scripts: __, ...manifest } = readManifest(from);
  const exports = Object.fromEntries(
    Object.entries(manifest.exports).map(([path, target]) => [path, published(target)]),
  );
  writeManifest(to, { ...manifest, exports, files: ["dist"] });
  return to;
}

/**
 * Assembles the folder of a package that is published uncompiled, with the types of the texts that
 * it imports: a project's compiler does not use declarations for all files of one kind.
 *
 * @returns its path
 */
function assembleSources(scratch, name) {
  const [from, to] = [join(root, "packages", name), join(scratch, "packages", name)];
  for (const file of ["src", "README.md", "LICENSE", "package.json"])
    cpSync(join(from, file), join(to, file), { recursive: true });
  for (const file of readdirSync(join(to, "src"), { recursive: true })) {
    const [, stem, kind] = /^(.*)\.(lua|sql|css)$/.exec(file) ?? [];
    if (stem === undefined) continue;
    const types = join(to, "src", `${stem}.d.${kind}.ts`);
    if (!existsSync(types))
      writeFileSync(types, "declare const text: string;\nexport default text;\n");
  }
  return to;
}

/** Assembles the folder of Studio, which contains the built page. @returns its path */
function assembleStudio(scratch) {
  const [from, to] = [join(root, "packages", "studio"), join(scratch, "packages", "studio")];
  run(bun, [join(from, "scripts", "embed.ts"), join(to, "dist")]);
  for (const file of ["README.md", "LICENSE"]) cpSync(join(from, file), join(to, file));
  const { devDependencies: _, ...manifest } = readManifest(from);
  const exports = { ".": { types: "./dist/files.d.ts", default: "./dist/files.js" } };
  writeManifest(to, { ...manifest, exports });
  return to;
}

/**
 * Assembles the command's folder as it is published: its sources, templates and bundle. @returns
 * its path
 */
function assembleCommand(scratch) {
  const [from, to] = [join(root, "packages", "cli"), join(scratch, "packages", "cli")];
  for (const file of ["bin", "src", "README.md", "LICENSE"])
    cpSync(join(from, file), join(to, file), { recursive: true });
  bringErrors(join(to, "src"));
  run(bun, [join(from, "scripts", "templates.ts"), join(to, "templates")]);
  run(bun, [join(from, "scripts", "bundle.ts"), join(to, "dist")]);
  const manifest = readManifest(from);
  // Modules that the bundle loads on demand are resolved from the bundle, wherever npm has put it.
  const dependencies = { ...readManifest(join(root, "packages", "server")).dependencies };
  writeManifest(to, {
    ...manifest,
    dependencies: { ...dependencies, ...manifest.dependencies },
    files: [...manifest.files, "dist"],
  });
  return to;
}

/**
 * Adds the page of error codes, which `pylon explain` reads, and which is outside the package's
 * folder.
 */
function bringErrors(sources) {
  const command = join(sources, "commands", "explain.ts");
  const text = readFileSync(command, "utf8");
  const outside = "../../../../docs/errors.md";
  if (!text.includes(outside)) throw new Error(`${command} does not import ${outside}.`);
  writeFileSync(command, text.replace(outside, "./errors.md"));
  cpSync(join(root, "docs", "errors.md"), join(sources, "commands", "errors.md"));
  writeFileSync(
    join(sources, "commands", "errors.d.md.ts"),
    "declare const text: string;\nexport default text;\n",
  );
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}

function writeManifest(folder, manifest) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The location of an export after compilation. */
function published(target) {
  if (typeof target !== "string")
    return Object.fromEntries(
      Object.entries(target).map(([condition, path]) => [condition, published(path)]),
    );
  const path = target.replace("./src/", "./dist/");
  if (!/\.tsx?$/.test(path) || path.endsWith(".d.ts")) return path;
  const stem = path.replace(/\.tsx?$/, "");
  return { types: `${stem}.d.ts`, default: `${stem}.js` };
}
