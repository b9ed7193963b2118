import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

// In the repository the originals are the templates; a published package has a copy of them, which
// scripts/templates.ts makes; an executable has the result of each function here built in
// (compile-executable.ts).

const TODO = ["../../../examples/todo", "../templates/todo"];
const DEPLOY = ["../../../deploy", "../templates/deploy"];
const NOT_OF_AN_APP = oneOf(
  "(^|/)(node_modules|\\.pylon|tsconfig\\.json|package\\.json)($|/)",
  "(^|/)pylon\\.[a-z]+\\.(ts|json)$",
  "\\.test\\.tsx?$",
  "(^|/)(uploads/|[^/]*\\.db(-[a-z]+)?$)",
);
const OF_DEPLOYMENTS = oneOf(
  "^sst/(pylon\\.stages\\.ts|sst\\.config[\\w.-]*\\.ts|infra/[\\w-]+\\.ts)$",
  "^docker/app\\.\\w+$",
  "^(compose|fly|systemd)/[\\w.-]+$",
);

function oneOf(...patterns: readonly string[]): RegExp {
  return new RegExp(patterns.join("|"));
}

/** The todo example's files by path. */
export function todoFiles(): Record<string, string> {
  const root = find(TODO);
  return root === undefined
    ? {}
    : contents(
        root,
        filesIn(root).filter((file) => !NOT_OF_AN_APP.test(file)),
      );
}

/** The dependencies of the todo example, from its package.json. */
export function todoDependencies(): Record<string, Record<string, string>> {
  const root = find(TODO);
  if (root === undefined) return {};
  const file: Record<string, Record<string, string>> = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  const { dependencies = {}, devDependencies = {} } = file;
  return { dependencies, devDependencies };
}

/** The sources of `pylon deploy`, by path in the folder `deploy`. */
export function deployFiles(): Record<string, string> {
  const root = find(DEPLOY);
  return root === undefined
    ? {}
    : contents(
        root,
        filesIn(root).filter((file) => OF_DEPLOYMENTS.test(file)),
      );
}

function find(places: readonly string[]): string | undefined {
  return places.map((place) => join(import.meta.dir, place)).find((path) => existsSync(path));
}

function contents(root: string, files: readonly string[]): Record<string, string> {
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}

/** Every file below a folder, by its relative path, sorted. */
function filesIn(root: string, dir = root): string[] {
  return readdirSync(dir)
    .filter((name) => name !== "node_modules")
    .map((name) => join(dir, name))
    .flatMap((path) =>
      statSync(path).isDirectory()
        ? filesIn(root, path)
        : [relative(root, path).replaceAll("\\", "/")],
    )
    .toSorted();
}
