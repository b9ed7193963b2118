import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileApp, type CompiledApp } from "./compile-app.ts";
import { loadApp } from "./load-app.ts";
import { createPage } from "./page.ts";

const dirs: string[] = [];

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "a", version: "1", access: "public", entities: [entity("Todo", { title: field.string() })] });
`,
  "web/index.html": `<!doctype html><html><head><title>Hi</title></head><body><script type="module" src="./main.tsx"></script></body></html>`,
  "web/main.tsx": `import { createRoot } from "react-dom/client";\ncreateRoot(document.body).render(<b>hello</b>);\n`,
  "public/icons/a.svg": "<svg/>",
  "public/.secret": "hidden",
};

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

async function load(dir: string, dev: boolean): Promise<CompiledApp> {
  const { app, diagnostics } = compileApp(await loadApp(dir, { dev }), { dev });
  if (app === null) throw new Error(JSON.stringify(diagnostics));
  return app;
}

async function openPage(dev: boolean): Promise<{ dir: string; reload: () => Promise<void>; get: (path: string, method?: string) => Promise<Response | null> }> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-page-"));
  dirs.push(dir);
  write(dir, FILES);
  let app = await load(dir, dev);
  const page = createPage(() => app);
  return {
    dir,
    reload: async () => void (app = await load(dir, dev)),
    get: (path, method = "GET") => page(new Request(`http://localhost${path}`, { method }), path),
  };
}

test("a page without packages of its own is bundled with the server's, under names that say their content", async () => {
  const { get } = await openPage(false);
  const page = await get("/");
  expect(page?.headers.get("Content-Type")).toStartWith("text/html");
  expect(page?.headers.get("Cache-Control")).toBe("no-cache");
  const html = (await page?.text()) ?? "";
  expect(html).not.toContain("__pylon");
  const script = /src="(\/[^"]+\.js)"/.exec(html)?.[1] ?? "no script";
  const code = await get(script);
  expect(code?.headers.get("Content-Type")).toStartWith("text/javascript");
  expect(code?.headers.get("Cache-Control")).toContain("immutable");
  expect(await code?.text()).toContain("hello");
});

test("a place inside the page is the page; a file that is not there and the API are not", async () => {
  const { get } = await openPage(false);
  expect(await (await get("/settings/profile"))?.text()).toContain("<title>Hi");
  expect(await get("/nope.js")).toBeNull();
  expect(await get("/api/nope")).toBeNull();
});

test("files of public/ are served, hidden ones are not, and nothing outside of it", async () => {
  const { get } = await openPage(false);
  const icon = await get("/icons/a.svg");
  expect(await icon?.text()).toBe("<svg/>");
  expect(icon?.headers.get("Content-Type")).toStartWith("image/svg+xml");
  expect(icon?.headers.get("Cache-Control")).toBe("no-cache");
  for (const path of ["/.secret", "/../app.ts", "/app.ts", "/web/main.tsx"]) expect((await (await get(path))?.text()) ?? "").not.toMatch(/hidden|buildManifest|createRoot/);
});

test("in dev mode the page is told of another version after a save in web/, and of nothing after one in functions/", async () => {
  const { dir, get, reload } = await openPage(true);
  expect(await (await get("/"))?.text()).toContain('src="/__pylon/dev.js"');
  expect(await (await get("/__pylon/dev.js"))?.text()).toContain("location.reload()");
  const stream = (await get("/__pylon/dev-events"))?.body?.getReader();
  const decoder = new TextDecoder();
  const next = async (): Promise<string> => decoder.decode((await stream?.read())?.value);
  const first = await next();
  expect(first).toMatch(/^data: \w+\n\n$/);
  const second = next();
  write(dir, { "functions/a.ts": `import { query } from "@pylonsync/functions";\nexport default query({ handler: () => 1 });\n` });
  await reload();
  expect(await Promise.race([second, Bun.sleep(250).then(() => "silence")])).toBe("silence");
  write(dir, { "web/main.tsx": "document.title = 'saved';\n" });
  await reload();
  const told = await second;
  expect(told).toMatch(/^data: \w+\n\n$/);
  expect(told).not.toBe(first);
  await stream?.cancel();
});

test("outside dev mode there is no dev script", async () => {
  const { get } = await openPage(false);
  expect(await get("/__pylon/dev.js")).toBeNull();
  expect(await (await get("/__pylon/dev-events"))?.text()).toContain("<title>Hi");
});
