import { afterAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { codeBlocks } from "../docs/code-blocks.ts";
import { run } from "../tests/support/run.ts";

// Checks the description of each package: its README, license and manifest. build-packages.test.ts
// checks what is published.

const ROOT = join(import.meta.dir, "..");
const PACKAGES = join(ROOT, "packages");
const names = readdirSync(PACKAGES);
mkdirSync(join(ROOT, "node_modules", ".cache"), { recursive: true });
const dir = mkdtempSync(join(ROOT, "node_modules", ".cache", "package-readmes-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");

test.each(names)("packages/%s describes itself, how to install it, and its license", (name) => {
  const manifest = JSON.parse(read("packages", name, "package.json")) as Record<string, unknown>;
  expect(manifest).toMatchObject({
    name: `@pylonsync/${name}`,
    license: "MIT",
    description: expect.stringMatching(/^[A-Z].{30,}\.$/),
    keywords: expect.arrayContaining(["pylon"]),
    exports: expect.anything(),
    files: expect.anything(),
    sideEffects: expect.anything(),
  });
  expect(read("packages", name, "LICENSE")).toBe(read("LICENSE"));
  const readme = read("packages", name, "README.md");
  expect(readme).toStartWith(`# @pylonsync/${name}\n`);
  for (const heading of ["Install", "Example", "Documentation"])
    expect(readme).toContain(`\n## ${heading}\n`);
  expect(readme).toMatch(/\]\(\.\.\/\.\.\/docs\//);
});

test.each(names)("the install command of packages/%s packs all that it depends on", (name) => {
  const [, packed = ""] =
    /build:packages -- \S+ (.+)/.exec(read("packages", name, "README.md")) ?? [];
  expect(packed.split(" ").toSorted()).toEqual([...closure(name)].toSorted());
});

test("the examples of the READMEs compile, and print what they show", async () => {
  const printed: Promise<void>[] = [];
  for (const name of names) {
    const blocks = codeBlocks(join(PACKAGES, name, "README.md"));
    for (const [index, { language, label, code }] of blocks.entries()) {
      if (language !== "ts" && language !== "tsx") continue;
      const file = join(dir, name, label === "" ? `example.${language}` : label);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, code);
      const shown = blocks[index + 1];
      if (shown?.language === "txt") printed.push(expectOutput(file, shown.code));
    }
  }
  writeFileSync(join(dir, "css.d.ts"), 'declare module "*.css";\n');
  writeFileSync(
    join(dir, "tsconfig.json"),
    JSON.stringify({
      extends: join(ROOT, "tsconfig.json"),
      include: [".", join(PACKAGES, "server", "src", "**", "*.d.ts")],
      exclude: [],
    }),
  );
  expect(printed.length).toBe(3);
  const tsc = join(ROOT, "node_modules", ".bin", "tsc");
  await Promise.all([run([tsc, "--singleThreaded", "--noEmit", "-p", dir]), ...printed]);
}, 60_000);

/** Runs an example in a folder in which `my-app` is an app. */
async function expectOutput(file: string, output: string): Promise<void> {
  const app = join(dirname(file), "my-app");
  mkdirSync(app, { recursive: true });
  writeFileSync(
    join(app, "app.ts"),
    codeBlocks(join(PACKAGES, "sdk", "README.md")).find(({ label }) => label === "app.ts")?.code ??
      "",
  );
  expect(await run([process.execPath, file], { cwd: dirname(file) })).toEndWith(output);
}

/** The package and all of ours that it needs, including peers. */
function closure(name: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  const manifest = JSON.parse(read("packages", name, "package.json")) as {
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly peerDependencies?: Readonly<Record<string, string>>;
  };
  for (const dependency of Object.keys({
    ...manifest.dependencies,
    ...manifest.peerDependencies,
  })) {
    const own = dependency.replace(/^@pylonsync\//, "");
    if (own !== dependency && existsSync(join(PACKAGES, own))) closure(own, seen);
  }
  return seen;
}
