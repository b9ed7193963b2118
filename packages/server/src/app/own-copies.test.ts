import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pkg from "../../package.json" with { type: "json" };

const dirs: string[] = [];

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** Creates an app that has installed a package with an export that the server's copy lacks. */
function appWithPackage(version: string): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "pylon-own-copies-")));
  dirs.push(dir);
  const installed = "node_modules/@pylonsync/functions";
  const files = {
    [`${installed}/package.json`]: JSON.stringify({
      name: "@pylonsync/functions",
      version,
      type: "module",
      exports: { ".": "./src/index.js" },
    }),
    [`${installed}/src/index.js`]: "export const isInstalledOne = true;",
    "functions/which.ts": `import * as functions from "@pylonsync/functions";
      export default "isInstalledOne" in functions ? "the app's" : "the server's";`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

/** In a process of its own, because what is offered once is offered to the whole process. */
async function copyUsedBy(app: string): Promise<string> {
  const script = `
    import { importAppFile } from ${JSON.stringify(join(import.meta.dir, "import-app.ts"))};
    const file = ${JSON.stringify(join(app, "functions/which.ts"))};
    console.log((await importAppFile(file, ${JSON.stringify(app)})).exports.default);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  return (await new Response(child.stdout).text()).trim();
}

test("a package that is installed in the server's version is not loaded again", async () => {
  const app = appWithPackage(pkg.dependencies["@pylonsync/functions"]);
  expect(await copyUsedBy(app)).toBe("the server's");
});

test("an app that has installed another version of a package uses that", async () => {
  expect(await copyUsedBy(appWithPackage("99.0.0"))).toBe("the app's");
});
