import { expect, test } from "bun:test";
import {
  checkHttpOptions,
  http,
  httpAction,
  type HttpCtx,
  type HttpDefinition,
  type HttpMethod,
} from "./http.ts";

const handler = () => new Response();

test("an HTTP function is data with its handler", () => {
  expect(http({ method: ["GET", "POST"], path: "/a/:id/*", handler })).toEqual({
    ...{ type: "http", method: ["GET", "POST"], path: "/a/:id/*", handler },
  });
  expect(httpAction({ method: "*", handler }).method).toBe("*");
});

test.each([
  "/",
  "/sitemap.xml",
  "/a/b/",
  "/a/:id",
  "/a/:id/b",
  "/*",
  "/a/*",
  "/.well-known/x-y_z~1",
])("the path %s is valid", (path) => {
  expect(http({ method: "GET", path, handler }).path).toBe(path);
});

test.each([
  [{ path: "a" }, "path"],
  [{ path: "/a?b=1" }, "path"],
  [{ path: "/a//b" }, "path"],
  [{ path: "/*/a" }, "path"],
  [{ path: "/a*" }, "path"],
  [{ path: "/:id*" }, "path"],
  [{ path: "/a:b" }, "path"],
  [{ path: "/:1" }, "path"],
  [{ method: "get" }, "method"],
  [{ method: [] }, "method"],
  [{ method: ["*", "GET"] }, "method"],
  [{ cookies: "yes" }, "cookies"],
  [{ maxBodyBytes: -1 }, "maxBodyBytes"],
  [{ maxBodyBytes: 1e12 }, "maxBodyBytes"],
  [{ cors: { origins: ["https://a.example/"] } }, "cors.origins"],
  [{ cors: { origins: [] } }, "cors.origins"],
  [{ cors: {} }, "cors.origins"],
  [{ cors: { origins: "*", credentials: true } }, "cors.credentials"],
  [{ cors: { origins: "*", headers: ["a b"] } }, "cors.headers"],
  [{ cors: { origin: "*" } }, '"origin"'],
  [{ auth: { roles: "a" } }, "auth.roles"],
  [{ routes: "/a" }, '"routes"'],
  [{ isolate: true }, "isolate: true"],
])("the options %j are rejected", (options, named) => {
  const definition: HttpDefinition = { type: "http", method: "GET", handler };
  expect(() => checkHttpOptions({ ...definition, ...(options as object) })).toThrow(named);
});

test("the parameters of a path have types, and other names may be undefined", () => {
  const read: string[] = [];
  const keep = (value: string): number => read.push(value);
  const both = http({
    method: "GET",
    path: "/files/:owner/:id/*",
    secrets: ["KEY"],
    handler: (_request, { params, secrets }) => {
      keep(params["owner"] + params["id"] + params["*"] + params.id + secrets["KEY"]);
      // @ts-expect-error the path does not declare it
      keep(params["name"]);
      return new Response();
    },
  });
  httpAction({
    method: "GET",
    path: "/:slug/",
    handler: (_request, ctx) => new Response(ctx.params["slug"].toUpperCase()),
  });
  // The path is not known to the compiler, or it is one of several.
  const method: HttpMethod = "GET";
  const path: string = ["/a", ":id"].join("/");
  // @ts-expect-error the path is any text
  http({ method, path, handler: (_request, { params }) => new Response(params["id"].at(0)) });
  http({
    method,
    path: read.length > 5 ? "/a/:id/:x" : "/b/:id",
    handler: (_request, { params }) => {
      keep(params["id"]);
      // @ts-expect-error only one of the paths declares it
      keep(params["x"]);
      return new Response();
    },
  });
  // As apps declared it before.
  const shared = (_request: Request, ctx: HttpCtx): Response => new Response(ctx.params["id"]);
  expect(http({ method, path: "/c/:id", handler: shared }).path).toBe("/c/:id");
  expect(http<"KEY">({ method, secrets: ["KEY"], handler: shared }).path).toBeUndefined();
  expect(both.path).toBe("/files/:owner/:id/*");
});
