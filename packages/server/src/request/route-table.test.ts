import { expect, test } from "bun:test";
import { ANONYMOUS_IDENTITY } from "../identity/identity.ts";
import { RequestContext } from "./context.ts";
import { routeTable } from "./route-table.ts";

const context = new RequestContext(
  new Request("http://localhost/"),
  {},
  ANONYMOUS_IDENTITY,
  () => "",
  "request",
);

test("a handler receives the services of its feature, and the request", async () => {
  const services = { greeting: "hello" };
  const { get } = routeTable(services);
  const route = get("/a", "anyone", (given, asked) => {
    expect(given).toBe(services);
    expect(asked).toBe(context);
    return new Response(given.greeting);
  });
  const answer = await route.handle(context);
  expect(answer instanceof Response && (await answer.text())).toBe("hello");
});

test("a route that writes reads a small body unless it declares another", () => {
  const { get, post, put, patch, del } = routeTable({});
  const handle = (): Response => new Response();
  const plain = [get, post, put, patch, del].map((make) => make("/a/:id", "signed-in", handle));
  expect(plain.map(({ method, body }) => [method, body])).toEqual([
    ["GET", undefined],
    ["POST", "small"],
    ["PUT", "small"],
    ["PATCH", "small"],
    ["DELETE", undefined],
  ]);
  expect(post("/a", "anyone", handle, { body: "stream", scope: "files" })).toMatchObject({
    body: "stream",
    scope: "files",
    access: "anyone",
  });
  expect(del("/a", "admin", handle, { body: "query", quiet: true })).toMatchObject({
    body: "query",
    quiet: true,
  });
});
