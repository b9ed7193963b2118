import { http, type HttpOptions } from "@pylonsync/functions";
import { expect, test } from "bun:test";
import { checkHttpPaths, HttpTable, takes, type HttpFunctions } from "./http-table.ts";

type Declared = Readonly<Record<string, Pick<HttpOptions, "method" | "path">>>;

function functionsOf(declared: Declared): HttpFunctions {
  return new Map(
    Object.entries(declared).map(([name, options]) => [
      name,
      http({ ...options, handler: () => new Response() }),
    ]),
  );
}

const GET = { method: "GET" } as const;
const table = new HttpTable(
  functionsOf({
    plain: { ...GET, path: "/files/new" },
    byId: { ...GET, path: "/files/:id" },
    writes: { method: ["PUT", "DELETE"], path: "/files/:name" },
    rest: { ...GET, path: "/files/:id/*" },
    home: { ...GET, path: "/" },
    "hooks.stripe": { method: "POST" },
  }),
);

test.each([
  ["/files/new", ["plain"], {}],
  ["/files/new/", ["plain"], {}],
  ["/files/a%2Fb", ["byId", "writes"], { id: "a/b" }],
  ["/files/1/x/y", ["rest"], { id: "1", "*": "x/y" }],
  ["/", ["home"], {}],
  ["/api/http/hooks/stripe", ["hooks.stripe"], {}],
  ["/files", [], {}],
  ["/files/%", [], {}],
  ["/files/%00", [], {}],
  ["/api/http/hooks", [], {}],
  ["/FILES/new", [], {}],
])("%s is answered by %j", (path, names, params) => {
  const found = table.at(path);
  expect(found.map(({ name }) => name)).toEqual([...names]);
  if (found.length > 0) expect(found[0]?.params).toEqual(params);
});

test("a function accepts its methods, and HEAD as GET", () => {
  const [read] = [...functionsOf({ f: GET }).values()];
  const [any] = [...functionsOf({ f: { method: "*" } }).values()];
  if (read === undefined || any === undefined) throw new Error("There are two.");
  expect(["GET", "HEAD", "POST"].map((method) => takes(read, method))).toEqual([
    ...[true, true, false],
  ]);
  expect(takes(any, "PROPFIND")).toBe(true);
});

test.each(["/api/entities/x", "/api", "/ws", "/studio/x", "/auth/sign-in", "/health", "/shards/1"])(
  "%s is the server's own",
  (path) => {
    const found = checkHttpPaths(functionsOf({ f: { ...GET, path } }), new Map());
    expect(found).toMatchObject([{ severity: "error", code: "HTTP_PATH_RESERVED" }]);
  },
);

test("two functions at one path accept different methods", () => {
  const at = (a: HttpOptions["method"], b: HttpOptions["method"]) =>
    checkHttpPaths(
      functionsOf({ a: { method: a, path: "/x/:id" }, b: { method: b, path: "/x/:name" } }),
      new Map([["b", "functions/b.ts"]]),
    );
  expect(at("GET", ["POST", "PUT"])).toEqual([]);
  expect(at("GET", ["POST", "GET"])).toMatchObject([
    { code: "HTTP_PATH_DUPLICATE", path: "functions/b.ts" },
  ]);
  expect(at("*", "GET")).toHaveLength(1);
  expect(at("GET", "*")).toHaveLength(1);
});
