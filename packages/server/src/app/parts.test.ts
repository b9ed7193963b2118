import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { wantedEncoding } from "../request/content-encoding.ts";
import { Compressed, ENCODINGS, isCompressible } from "./compressed.ts";
import { importGraph } from "./import-graph.ts";
import { importProblem } from "./import-problem.ts";
import { printedManifest } from "./printed-manifest.ts";
import { decodedPath, isWellKnown, publicFiles } from "./public-files.ts";
import { WebAsset } from "./web-asset.ts";
import { placeText, WebBuildError } from "./web-problem.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "pylon-app-parts-")));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, text = ""): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

test("a client gets the encoding it prefers, and the smaller of two equal ones", () => {
  for (const [accept, encoding] of [
    [null, null],
    ["", null],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["GZIP;q=1, br;q=0.5", "gzip"],
    ["br;q=0, *", "gzip"],
    ["*;q=0", null],
    ["deflate", null],
    ["br;q=nonsense", null],
  ] as const)
    expect(wantedEncoding(accept, ENCODINGS)).toBe(encoding);
});

test("texts that are large enough are compressed, each encoding once", async () => {
  expect(isCompressible("text/css;charset=utf-8", 1024)).toBe(true);
  expect(isCompressible("text/css", 1023)).toBe(false);
  expect(isCompressible("text/css", 16 * 1024 * 1024 + 1)).toBe(false);
  expect(isCompressible("image/png", 5000)).toBe(false);
  expect(isCompressible("image/svg+xml", 5000)).toBe(true);
  const text = "many words ".repeat(1000);
  const compressed = new Compressed(new Blob([text]));
  const [br, gzip] = [await compressed.in("br"), await compressed.in("gzip")];
  expect(brotliDecompressSync(await br.bytes()).toString()).toBe(text);
  expect(gunzipSync(await gzip.bytes()).toString()).toBe(text);
  expect(compressed.in("br")).toBe(compressed.in("br"));
});

test("public files are those in the folder, without hidden ones and links that leave it", () => {
  write("secret.txt");
  for (const name of ["a.txt", "deep/b c.txt", ".env", ".well-known/x", "deep/.well-known/y"])
    write(`public/${name}`);
  write("public/node_modules/p.js");
  symlinkSync(join(root, "secret.txt"), join(root, "public/out.txt"));
  symlinkSync(join(root, "public/a.txt"), join(root, "public/in.txt"));
  symlinkSync(join(root, "public"), join(root, "public/deep/circle"));
  symlinkSync(join(root, "nowhere"), join(root, "public/broken"));
  expect([...publicFiles(join(root, "public")).keys()].toSorted()).toEqual([
    "/.well-known/x",
    "/a.txt",
    "/deep/b c.txt",
    "/in.txt",
  ]);
  expect(publicFiles(join(root, "absent")).size).toBe(0);
});

test("a path is decoded as far as possible, and has one Unicode form", () => {
  expect(decodedPath("/a%20b/%E4%BD%A0")).toBe("/a b/你");
  expect(decodedPath("/%ff/%41")).toBe("/%ff/A");
  expect(decodedPath("/u%CC%88")).toBe("/ü");
  expect([isWellKnown("/.well-known/x"), isWellKnown("/.well-knownx")]).toEqual([true, false]);
});

test("imports are followed, each file after those that it imports, including cycles", () => {
  const files = {
    a: write(
      "graph/a.ts",
      'import "./b.ts";\nimport { c } from "./c.ts";\nimport type X from "./d.ts";',
    ),
    b: write("graph/b.ts", 'import "./a.ts";\nimport "./missing.ts";'),
    c: write("graph/c.ts", 'export const c = () => import("./late.ts");'),
    broken: write("graph/broken.ts", "import { from ;"),
  };
  write("graph/late.ts");
  const isOwn = (path: string): boolean => path.startsWith(root);
  const graph = importGraph(files.a, isOwn);
  expect(graph.at(-1)).toBe(files.a);
  expect(graph.toSorted()).toContain(files.b);
  expect(graph).not.toContain(join(root, "graph/late.ts"));
  expect(importGraph(files.broken, isOwn)).toEqual([files.broken]);
  expect(importGraph(files.a, () => false)).toEqual([]);
});

test("the error of a file that did not load contains the location in the app's files", () => {
  const error = new Error(`Cannot find "${root}/x"`);
  error.stack =
    `Error: no\n  at f (${root}/node_modules/p/i.js:1:1)\n` + `  at g (${root}/functions/a.ts:3:7)`;
  expect(importProblem(error, root)).toEqual({
    message: 'Cannot find "x"',
    place: "functions/a.ts:3:7",
  });
  const syntax = { message: "not shown", position: { file: `${root}/app.ts`, line: 2, column: 5 } };
  expect(importProblem(new AggregateError([syntax, "later"]), root).place).toBe("app.ts:2:5");
  expect(importProblem("text", root)).toEqual({ message: "text", place: undefined });
});

test("a manifest is found in the printed text, on one line or on several", () => {
  const manifest = { manifest_version: 1, name: "app" };
  const text = JSON.stringify(manifest, null, 2);
  expect(printedManifest(["hello", JSON.stringify(manifest)])).toEqual(manifest);
  expect(printedManifest(text.split("\n"))).toEqual(manifest);
  expect(printedManifest(["hello", "{}", "[1]"])).toBeUndefined();
});

test("a page that can't be built names each problem with its location, if known", () => {
  const place = { file: "web/a.tsx", line: 3, column: null, frame: [] };
  expect(placeText(place)).toBe("web/a.tsx:3:1");
  expect(placeText({ ...place, line: null })).toBe("web/a.tsx");
  expect(
    new WebBuildError([
      { message: "one", place },
      { message: "two", place: null },
    ]).message,
  ).toBe("web/ can't be built: web/a.tsx:3:1: one; two");
});

test("T17: slow readers of a compressed file share one copy of it", async () => {
  const bytes = new Uint8Array(400_000);
  for (let start = 0; start < bytes.length; start += 50_000)
    crypto.getRandomValues(bytes.subarray(start, start + 50_000));
  const options = { type: "text/javascript", immutable: false, version: "1", compresses: true };
  const asset = new WebAsset(new Blob([bytes]), options);
  for (const encoding of ["br", "gzip", "identity"]) {
    const headers = { "Accept-Encoding": encoding };
    const response = await asset.answer(new Request("http://localhost/main.js", { headers }));
    expect(response.headers.get("content-encoding") ?? "identity").toBe(encoding);
    expect(estimateShallowMemoryUsageOf(response)).toBeLessThan(10_000);
    expect((await response.bytes()).length).toBeGreaterThan(300_000);
  }
});
