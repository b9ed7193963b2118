import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const page = await Bun.file(join(import.meta.dir, "dependencies.md")).text();

interface Package {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const files = ["package.json", "packages/*/package.json", "examples/*/package.json"].flatMap(
  (pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)],
);

test("every package is looked at", () => {
  expect(files).toContain("package.json");
  expect(files).toContain(join("packages", "server", "package.json"));
  expect(files).toContain(join("examples", "todo", "package.json"));
});

test.each(files)("%s depends on nothing that dependencies.md does not name", async (file) => {
  const pkg = (await Bun.file(join(ROOT, file)).json()) as Package;
  const wanted = { ...pkg.dependencies, ...pkg.devDependencies, ...pkg.peerDependencies };
  const missing = Object.entries(wanted).filter(
    ([name, version]) => !name.startsWith("@pylonsync/") && !isNamed(name, version),
  );
  expect(missing).toEqual([]);
});

/** A row that names the package, and its version too. */
function isNamed(name: string, version: string): boolean {
  return page.split("\n").some((line) => {
    const [, names = "", ...rest] = line.split("|");
    return (
      names.split(",").some((entry) => entry.trim() === name) && rest.join("|").includes(version)
    );
  });
}
