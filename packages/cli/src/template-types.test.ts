import { expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import rootPackage from "../../../package.json" with { type: "json" };
import { codeBlocks } from "../../../docs/code-blocks.ts";
import { program, pylon, TempFolder } from "./testing/pylon-process.ts";

const ROOT = join(import.meta.dir, "../../..");
/** It runs the app and is not imported by it. */
const NOT_IMPORTED: ReadonlySet<string> = new Set(["@pylonsync/cli", "typescript"]);

interface Package {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The result of `npm install`, made from the repository: each package as it is published. */
function install(app: string, more: readonly string[]): void {
  const { dependencies, devDependencies } = packageAt(app);
  const wanted = [...Object.keys({ ...dependencies, ...devDependencies }), ...more];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const to = join(app, "node_modules", name);
    if (NOT_IMPORTED.has(name) || existsSync(to)) continue;
    const from = join(ROOT, "node_modules", name);
    cpSync(from, to, {
      recursive: true,
      dereference: true,
      filter: (path) =>
        !path.slice(from.length).includes("node_modules") && !/\.test\.tsx?$/.test(path),
    });
    wanted.push(...Object.keys(packageAt(to).dependencies ?? {}));
  }
}

function packageAt(dir: string): Package {
  return JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as Package;
}

async function problems(app: string): Promise<string> {
  const { stdout } = await program(
    [join(ROOT, "node_modules/.bin/tsc"), "--singleThreaded", "--noEmit"],
    app,
  );
  return stdout;
}

test("U: the app of the quick start has no type errors, its page included", async () => {
  using folder = new TempFolder();
  await pylon(["init", "my-app"], folder.path);
  const app = join(folder.path, "my-app");
  for (const { label, code } of codeBlocks(join(ROOT, "docs/quickstart.md")))
    if (/^[\w-]+\/|^app\.ts$/.test(label)) folder.write({ [`my-app/${label}`]: code });
  folder.write({
    "my-app/web/look.tsx": `import "@pylonsync/react/styles.css";
import "./own.css";
import logo from "./logo.svg";
import { SignIn } from "@pylonsync/react";
export const Page = () => <><img src={logo} alt="" /><SignIn /></>;
`,
    "my-app/web/own.css": "",
    "my-app/web/logo.svg": "<svg/>",
  });
  // The additional packages of the quick start.
  install(app, ["@pylonsync/react", "react", "react-dom"]);
  expect((await pylon(["codegen"], app)).exitCode).toBe(0);
  expect(await problems(app)).toBe("");

  // The test detects what is missing: without the types of React there is no JSX.
  rmSync(join(app, "node_modules/@types/react"), { recursive: true });
  expect(await problems(app)).toContain("web/main.tsx");
}, 60_000);

test("U: the app of the template todo has no type errors", async () => {
  using folder = new TempFolder();
  await pylon(["init", "todo", "--template", "todo"], folder.path);
  const app = join(folder.path, "todo");
  install(app, []);
  expect((await pylon(["codegen"], app)).exitCode).toBe(0);
  expect(await problems(app)).toBe("");
}, 60_000);

test("U: the templates use the version of TypeScript that they are checked with", async () => {
  using folder = new TempFolder();
  await pylon(["init", "my-app"], folder.path);
  expect(packageAt(join(folder.path, "my-app")).devDependencies?.["typescript"]).toBe(
    rootPackage.devDependencies.typescript,
  );
});
