import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** In the repository the example is the template; a published package carries a copy. */
const SOURCES = ["../../../examples/todo", "../templates/todo"];
const LEFT_OUT = /(^|\/)(node_modules|\.pylon|tsconfig\.json|package\.json|pylon\.[a-z]+\.(ts|json)|.*\.test\.tsx?)($|\/)/;

/** The todo example's files by path. Runs when the command is built, so that one executable holds them. */
export function todoFiles(): Record<string, string> {
  const root = SOURCES.map((source) => fileURLToPath(new URL(source, import.meta.url))).find((path) => existsSync(path));
  return root === undefined ? {} : Object.fromEntries(filesIn(root).map((file) => [relative(root, file), readFileSync(file, "utf8")]));
}

function filesIn(dir: string): string[] {
  return readdirSync(dir)
    .map((name) => join(dir, name))
    .filter((path) => !LEFT_OUT.test(path.replaceAll("\\", "/")))
    .flatMap((path) => (statSync(path).isDirectory() ? filesIn(path) : [path]));
}
