import { expect, test } from "bun:test";
import { checkHttpOptions, http, httpAction, type HttpDefinition } from "./http.ts";

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
