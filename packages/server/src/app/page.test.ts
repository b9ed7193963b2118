import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { compileApp, type CompiledApp } from "./compile-app.ts";
import { loadApp } from "./load-app.ts";
import { createPage } from "./page.ts";

const dirs: string[] = [];

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** A function of an app. */
const QUERY = `import { query } from "@pylonsync/functions";
export default query({ handler: () => 1 });
`;
const FILES = {
  "app.ts": `import { buildManifest, entity, field } from "@pylonsync/sdk";
const Todo = entity("Todo", { title: field.string() });
export default buildManifest({ name: "a", version: "1", access: "public", entities: [Todo] });
`,
  "web/index.html":
    "<!doctype html><html><head><title>Hi</title></head>" +
    '<body><script type="module" src="./main.tsx"></script></body></html>',
  "web/main.tsx":
    'import { createRoot } from "react-dom/client";\n' +
    "createRoot(document.body).render(<b>hello</b>);\n",
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

interface OpenPage {
  readonly dir: string;
  /** The errors of a broken page that were logged. */
  readonly told: readonly string[];
  readonly reload: () => Promise<void>;
  readonly get: (path: string, options?: RequestInit) => Promise<Response | null>;
}

async function openPage(
  dev: boolean,
  files: Readonly<Record<string, string>> = FILES,
): Promise<OpenPage> {
  const dir = mkdtempSync(join(tmpdir(), "pylon-page-"));
  dirs.push(dir);
  write(dir, files);
  let app = await load(dir, dev);
  const told: string[] = [];
  const page = createPage(() => app, {
    dev: dev ? { home: { hasMailbox: true, hasStudio: true }, problems: () => [] } : null,
    onBroken: ({ message }) => void told.push(message),
  });
  return {
    dir,
    told,
    reload: async () => void (app = await load(dir, dev)),
    get: (path, options) => page(new Request(`http://localhost${path}`, options), path),
  };
}

test("what a page loads by import() is a separate file, under a hashed name", async () => {
  for (const isDev of [false, true]) {
    const { get } = await openPage(isDev, {
      ...FILES,
      "web/main.tsx": 'document.onclick = async () => (await import("./later.ts")).show();\n',
      "web/later.ts": 'export const show = () => alert("only later");\n',
    });
    const read = async (path: string): Promise<string> => (await (await get(path))?.text()) ?? "";
    const text = await read(/src="(\/chunk[^"]+)"/.exec(await read("/"))?.[1] ?? "no script");
    expect(text).not.toContain('alert("only later")');
    const later = /import\("([^"]+)"\)/.exec(text)?.[1] ?? "no import";
    const answer = await get(later);
    expect(await answer?.text()).toContain('alert("only later")');
    expect(answer?.headers.get("Cache-Control")).toContain("immutable");
  }
});

test("a page without own packages is bundled with the server's, under hashed names", async () => {
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

test("a path inside the page returns the page; a missing file and the API do not", async () => {
  const { get } = await openPage(false);
  expect(await (await get("/settings/profile"))?.text()).toContain("<title>Hi");
  expect(await get("/nope.js")).toBeNull();
  for (const path of ["/api", "/api/nope", "/auth", "/auth/nope", "/studio", "/studio/nope"])
    expect([path, await get(path)]).toEqual([path, null]);
  for (const path of ["/authors", "/studios/1", "/apiary"])
    expect((await get(path))?.status).toBe(200);
});

test("files of public/ are served, but not hidden ones, and nothing outside of it", async () => {
  const { get } = await openPage(false);
  const icon = await get("/icons/a.svg");
  expect(await icon?.text()).toBe("<svg/>");
  expect(icon?.headers.get("Content-Type")).toStartWith("image/svg+xml");
  expect(icon?.headers.get("Cache-Control")).toBe("no-cache");
  for (const path of ["/.secret", "/../app.ts", "/app.ts", "/web/main.tsx"])
    expect((await (await get(path))?.text()) ?? "").not.toMatch(/hidden|buildManifest|createRoot/);
});

test("files of public/ are served without a page, and dev mode keeps its overview", async () => {
  const only = { "app.ts": FILES["app.ts"], "public/robots.txt": "User-agent: *" };
  const { get } = await openPage(false, only);
  expect(await (await get("/robots.txt"))?.text()).toBe("User-agent: *");
  for (const path of ["/", "/settings", "/nope.txt"])
    expect([path, await get(path)]).toEqual([path, null]);
  expect(await get("/robots.txt", { method: "POST" })).toBeNull();
  expect(await (await (await openPage(true, only)).get("/"))?.text()).toContain("Entities");
});

test.each([true, false])("a page built by another tool is served, dev mode: %p", async (dev) => {
  const { get } = await openPage(dev, {
    "app.ts": FILES["app.ts"],
    "public/index.html": "<title>Built</title>",
    "public/assets/main-AbCd1234.js": "hello()",
  });
  for (const path of ["/", "/settings/profile", "/index.html"])
    expect([path, await (await get(path))?.text()]).toEqual([path, "<title>Built</title>"]);
  expect((await get("/"))?.headers.get("Content-Type")).toStartWith("text/html");
  expect(await (await get("/assets/main-AbCd1234.js"))?.text()).toBe("hello()");
  for (const path of ["/nope.js", "/api/nope"])
    expect([path, await get(path)]).toEqual([path, null]);
  const both = { ...FILES, "public/index.html": "<title>Built</title>" };
  expect(await (await (await openPage(dev, both)).get("/"))?.text()).toContain("<title>Hi");
});

test.each([
  ["assets/index-DiwrgTda.js", true],
  ["assets/index-BRBmoGS9.css", true],
  ["assets/index-Bn_4-xYz.js.map", true],
  ["assets/fonts/Inter.C0mPl3xQ.woff2", true],
  ["app/assets/logo-b8-_Xq1A.svg", true],
  ["index-DiwrgTda.js", false],
  ["docs/index-DiwrgTda.js", false],
  ["assets/team-portrait.jpg", false],
  ["assets/hero-MainPage.png", false],
  ["assets/hero-mainPage.webp", false],
  ["assets/Team-Portrait.jpg", false],
  ["assets/report-20261201.pdf", false],
  ["assets/IMG-DSC_0042.jpg", false],
  ["assets/page-section2.html", false],
  ["assets/index.js", false],
])(
  "public/%s is cached without revalidation: %p, and never in dev mode",
  async (path, isHashed) => {
    const files = { ...FILES, [`public/${path}`]: "one" };
    const { dir, get } = await openPage(false, files);
    const cacheControl = async (): Promise<string | null | undefined> =>
      (await get(`/${path}`))?.headers.get("Cache-Control");
    expect(await cacheControl()).toBe(
      isHashed ? "public, max-age=31536000, immutable" : "no-cache",
    );
    const dev = await (await openPage(true, files)).get(`/${path}`);
    expect(dev?.headers.get("Cache-Control")).toBe("no-cache");
    rmSync(join(dir, "public", path));
    expect(await get(`/${path}`)).toBeNull();
  },
);

test.each([
  ["a space", "a b.txt", "/a%20b.txt"],
  ["a space in the folder", "my files/a b", "/my%20files/a%20b"],
  ["an umlaut", "größe.txt", "/gr%C3%B6%C3%9Fe.txt"],
  ["an umlaut of two parts", "u\u0308ber.txt", "/%C3%BCber.txt"],
  ["a percent sign", "100%.txt", "/100%25.txt"],
  ["a percent sign that is not encoded", "50% off", "/50%%20off"],
  ["what looks encoded", "a%20b.txt", "/a%2520b.txt"],
  ["a plus sign", "c++.txt", "/c++.txt"],
  ["an encoded plus sign", "c++.txt", "/c%2B%2B.txt"],
  ["signs that URLs have a use for", "a?b#c&d.txt", "/a%3Fb%23c&d.txt"],
  ["a script of another kind", "日本.txt", "/%E6%97%A5%E6%9C%AC.txt"],
  [".well-known", ".well-known/security.txt", "/.well-known/security.txt"],
  ["no ending in .well-known", ".well-known/acme-challenge/abc", "/.well-known/acme-challenge/abc"],
])("S10: a file of public/ with %s is served", async (_what, file, path) => {
  const { get } = await openPage(false, { ...FILES, [`public/${file}`]: "this one" });
  expect(await (await get(path))?.text()).toBe("this one");
});

test("S10: a missing .well-known file is not the page; types are as readers expect", async () => {
  const { get } = await openPage(false, {
    ...FILES,
    "public/.well-known/apple-app-site-association": "{}",
    "public/.well-known/acme": "token",
    "public/.well-known/.hidden": "hidden",
    "public/sub/.well-known/x": "hidden",
  });
  for (const path of ["/.well-known", "/.well-known/nope", "/.well-known/.hidden"])
    expect([path, await get(path)]).toEqual([path, null]);
  expect(await (await get("/sub/.well-known/x"))?.text()).not.toBe("hidden");
  const type = async (path: string): Promise<string | null | undefined> =>
    (await get(path))?.headers.get("content-type");
  expect(await type("/.well-known/apple-app-site-association")).toBe("application/json");
  expect(await type("/.well-known/acme")).toBe("text/plain;charset=utf-8");
});

test("S10: links within public/ are followed, others are not, and none is an error", async () => {
  const { dir, get, reload } = await openPage(true, {
    ...FILES,
    "secret/key.txt": "secret",
    "public/real/a.txt": "inside",
    "public/later.txt": "before",
  });
  const at = (path: string): string => join(dir, "public", path);
  symlinkSync(at("real"), at("linked"));
  symlinkSync(at("real/a.txt"), at("linked.txt"));
  symlinkSync("..", at("real/loop"));
  symlinkSync(join(dir, "secret"), at("out"));
  symlinkSync(join(dir, "secret/key.txt"), at("out.txt"));
  symlinkSync("/nowhere", at("broken.txt"));
  symlinkSync(dir, at("self"));
  await reload();
  const text = async (path: string): Promise<string | undefined> => (await get(path))?.text();
  for (const path of ["/real/a.txt", "/linked/a.txt", "/linked.txt"])
    expect([path, await text(path)]).toEqual([path, "inside"]);
  for (const path of [
    "/out.txt",
    "/out/key.txt",
    "/broken.txt",
    "/self/app.ts",
    "/self/secret/key.txt",
  ])
    expect([path, await get(path)]).toEqual([path, null]);
  // A folder is a path inside the page, like any other path without an extension.
  for (const path of ["/linked", "/out", "/real", "/self"])
    expect([path, await text(path)]).toEqual([path, expect.stringContaining("<title>Hi")]);
  expect(await text("/later.txt")).toBe("before");
  rmSync(at("later.txt"));
  symlinkSync(join(dir, "secret/key.txt"), at("later.txt"));
  expect(await get("/later.txt")).toBeNull();
});

test("in dev mode the page is notified of a save in web/, not of one in functions/", async () => {
  const { dir, get, reload } = await openPage(true);
  expect(await (await get("/"))?.text()).toContain('src="/__pylon/dev.js"');
  expect(await (await get("/__pylon/dev.js"))?.text()).toContain("location.reload()");
  const stream = (await get("/__pylon/dev-events"))?.body?.getReader();
  const decoder = new TextDecoder();
  const next = async (): Promise<string> => decoder.decode((await stream?.read())?.value);
  const first = await next();
  expect(first).toMatch(/^data: \w+\n\n$/);
  const second = next();
  write(dir, {
    "functions/a.ts": QUERY,
  });
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

test("the overview of dev mode gives way to the app's page", async () => {
  const { get } = await openPage(true);
  expect(await (await get("/"))?.text()).toContain("<title>Hi");
  for (const path of ["/studio", "/studio/nope"])
    expect([path, await get(path)]).toEqual([path, null]);
});

test("paths below /auth belong to the page if the server's pages are off", async () => {
  const off = FILES["app.ts"].replace('name: "a"', 'name: "a", auth: { pages: false }');
  const { get } = await openPage(false, { ...FILES, "app.ts": off });
  expect(await (await get("/auth/welcome"))?.text()).toContain("<title>Hi");
});

describe("compression", () => {
  const TEXT = "a line that comes again and again\n".repeat(200);
  const files = {
    ...FILES,
    "public/notes.txt": TEXT,
    "public/small.txt": "short",
    "public/photo.png": TEXT,
  };
  const decode = { br: brotliDecompressSync, gzip: gunzipSync };
  const asking = (encoding: string): RequestInit => ({ headers: { "Accept-Encoding": encoding } });

  test.each(["br", "gzip"] as const)(
    "a script and a file of public/ are sent as %s to clients that accept it, plain to others",
    async (encoding) => {
      const { get } = await openPage(false, files);
      const script =
        /src="(\/[^"]+\.js)"/.exec((await (await get("/"))?.text()) ?? "")?.[1] ?? "no script";
      for (const path of [script, "/notes.txt"]) {
        const plain = await get(path);
        expect([plain?.headers.get("Content-Encoding"), plain?.headers.get("Vary")]).toEqual([
          null,
          "Accept-Encoding",
        ]);
        const text = (await plain?.text()) ?? "";
        const answer = await get(path, asking(`deflate, ${encoding}`));
        expect([answer?.headers.get("Content-Encoding"), answer?.headers.get("Vary")]).toEqual([
          encoding,
          "Accept-Encoding",
        ]);
        expect(answer?.headers.get("Content-Type")).toBe(plain?.headers.get("Content-Type") ?? "");
        const body = await answer?.bytes();
        expect(body?.length).toBeLessThan(text.length / 2);
        expect(decode[encoding](body ?? "").toString()).toBe(text);
      }
    },
  );

  test.each([
    ["gzip, deflate, br, zstd", "br"],
    ["gzip", "gzip"],
    ["GZIP;q=0.5", "gzip"],
    ["br;q=0, gzip", "gzip"],
    ["br;q=0.1, gzip;q=0.9", "gzip"],
    ["*", "br"],
    ["*;q=0, gzip;q=1", "gzip"],
    ["br;q=0, gzip;q=0", null],
    ["identity", null],
    ["zstd", null],
    ["", null],
  ])("to Accept-Encoding %p the answer is %p", async (accept, encoding) => {
    const { get } = await openPage(false, files);
    expect((await get("/notes.txt", asking(accept)))?.headers.get("Content-Encoding") ?? null).toBe(
      encoding,
    );
  });

  test("a small or already compressed file is sent unchanged", async () => {
    const { get } = await openPage(false, files);
    for (const path of ["/small.txt", "/photo.png"]) {
      const answer = await get(path, asking("br, gzip"));
      expect([path, answer?.headers.get("Content-Encoding"), answer?.headers.get("Vary")]).toEqual([
        path,
        null,
        null,
      ]);
    }
  });

  test("a tag identifies the content in one encoding, and avoids sending it again", async () => {
    const { dir, get } = await openPage(false, files);
    const tags = await Promise.all(
      ["br", "gzip", ""].map(
        async (encoding) =>
          (await get("/notes.txt", asking(encoding)))?.headers.get("ETag") ?? "none",
      ),
    );
    expect(new Set(tags).size).toBe(3);
    for (const [index, encoding] of ["br", "gzip", ""].entries()) {
      const known = (tag: string): Promise<Response | null> =>
        get("/notes.txt", { headers: { "Accept-Encoding": encoding, "If-None-Match": tag } });
      const unchanged = await known(`"other", W/${tags[index]}`);
      expect([
        unchanged?.status,
        await unchanged?.text(),
        unchanged?.headers.get("ETag"),
        unchanged?.headers.get("Vary"),
      ]).toEqual([304, "", tags[index] ?? "", "Accept-Encoding"]);
      expect((await known(tags[(index + 1) % 3] ?? ""))?.status).toBe(200);
    }
    write(dir, { "public/notes.txt": TEXT.replaceAll("again", "once more") });
    const changed = await get("/notes.txt", {
      headers: { "Accept-Encoding": "gzip", "If-None-Match": tags[1] ?? "" },
    });
    expect(changed?.status).toBe(200);
    expect(gunzipSync((await changed?.bytes()) ?? "").toString()).toContain("once more");
  });

  test("a save in dev mode does not wait for compression", async () => {
    const { get } = await openPage(true, files);
    expect((await get("/notes.txt", asking("br")))?.headers.get("Content-Encoding")).toBeNull();
  });
});

describe("an app without a page", () => {
  const { "web/index.html": _page, ...files } = FILES;

  test("shows in dev mode what it contains and where to look, only at its address", async () => {
    const { get } = await openPage(true, {
      ...files,
      "functions/hello.ts": QUERY,
    });
    const html = (await (await get("/"))?.text()) ?? "";
    for (const shown of [
      "<title>a in dev mode",
      "Todo",
      "title",
      "hello",
      'href="/studio/mail"',
      'href="/health"',
    ])
      expect(html).toContain(shown);
    expect(html).toContain('href="/studio"');
    expect(html).not.toContain("/auth/sign-in");
    expect(await get("/somewhere")).toBeNull();
    expect(await get("/", { method: "POST" })).toBeNull();
  });

  test("shows HTTP functions with their paths, workflows, shards and crons", async () => {
    const { get } = await openPage(true, {
      ...files,
      "app.ts": files["app.ts"].replace(
        "entities: [",
        'crons: [{ name: "tidy", schedule: "@daily", function: "hello" }], entities: [',
      ),
      "functions/hello.ts": QUERY,
      "functions/hooks/pay.ts":
        'import { http } from "@pylonsync/functions";\n' +
        'export default http({ method: ["POST", "PUT"], handler: () => new Response() });\n',
      "functions/feed.ts":
        'import { http } from "@pylonsync/functions";\n' +
        'export default http({ method: "*", path: "/feed/:id", handler: () => new Response() });\n',
      "workflows/ship.ts":
        'import { workflow } from "@pylonsync/workflows";\n' +
        'export default workflow("ship", async () => 1, { description: "Ships <it>" });\n',
      "shards/arena.ts":
        'import { shard, v } from "@pylonsync/functions";\n' +
        "export default shard({ input: v.any(), init: () => ({}), view: () => 1 });\n",
    });
    const text = ((await (await get("/"))?.text()) ?? "").replaceAll(/<[^>]*>/g, " ");
    for (const shown of [
      /HTTP functions\s+\/api\/http\/hooks\/pay\s+POST, PUT/,
      /\/feed\/:id\s+any method/,
      /Workflows\s+ship\s+Ships &lt;it&gt;/,
      /Shards\s+arena/,
      /Crons\s+tidy\s+@daily hello/,
    ])
      expect(text).toMatch(shown);
  });

  test("links to the sign-in if it has users", async () => {
    const app = FILES["app.ts"].replace(
      "entities: [",
      "entities: [entity('User', { email: field.string() }), ",
    );
    const { get } = await openPage(true, { ...files, "app.ts": app });
    expect(await (await get("/"))?.text()).toContain('href="/auth/sign-in"');
  });

  test("escapes all markup in names", async () => {
    const { get } = await openPage(true, {
      ...files,
      "app.ts": FILES["app.ts"].replace('name: "a"', 'name: "<script>1</script>"'),
    });
    expect(await (await get("/"))?.text()).not.toContain("<script>");
  });

  test("shows nothing outside dev mode", async () => {
    const { get } = await openPage(false, files);
    expect(await get("/")).toBeNull();
  });
});
