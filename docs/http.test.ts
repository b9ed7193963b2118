import { expect, spyOn, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf, startServer } from "../tests/support/server.ts";

const PAGES = ["http.md", "http-auth.md"];
/** Answered by the listener before its table of routes. */
const BESIDE_THE_TABLE = ["GET /events", "WS /ws", "WS /shards"];
const METHODS = /^(GET|HEAD|POST|PUT|PATCH|DELETE|WS)\b/;

test("the pages list every route of the server, and no other", async () => {
  const served = await servedRoutes();
  expect(served.length).toBeGreaterThan(50);
  const listed = PAGES.flatMap((page) =>
    listedRoutes(readFileSync(join(import.meta.dir, page), "utf8")),
  );
  const wanted = [...served, ...BESIDE_THE_TABLE];
  expect({
    missing: wanted.filter((route) => !listed.includes(route)),
    gone: listed.filter((route) => !wanted.includes(route)),
  }).toEqual({ missing: [], gone: [] });
  expect(listed.filter((route, index) => listed.indexOf(route) !== index)).toEqual([]);
});

/**
 * `METHOD path`, with `:` for each parameter: the table that the server hands to Bun, and the
 * methods that a refusal names.
 */
async function servedRoutes(): Promise<string[]> {
  using serve = spyOn(Bun, "serve");
  const app = appOf(
    buildManifest({
      name: "a",
      version: "1",
      entities: [entity("User", { email: field.string() })],
      policies: [],
    }),
  );
  const server = await startServer(app, { PYLON_DEV_MODE: "1", PYLON_SINGLE_PORT: "1" });
  try {
    const [options] = serve.mock.calls[0] ?? [];
    const paths = Object.keys(options?.routes ?? {});
    const routes: string[] = [];
    for (const path of paths) {
      const answer = await fetch(server.url + path.replaceAll(/:\w+|\*/g, "x"), {
        method: "PROPFIND",
      });
      expect({ path, status: answer.status }).toEqual({ path, status: 405 });
      const { error } = (await answer.json()) as { readonly error: { readonly hint: string } };
      const methods = error.hint.replace(/^Allowed: |\.$/g, "").split(", ");
      routes.push(...methods.map((method) => `${method} ${path.replaceAll(/:\w+/g, ":")}`));
    }
    return routes;
  } finally {
    await server.stop();
  }
}

/**
 * Those of the tables' first column. A method alone belongs to the path behind it; HEAD is answered
 * wherever GET is.
 */
function listedRoutes(page: string): string[] {
  const routes: string[] = [];
  for (const [, cell = ""] of page.matchAll(/^\| ([^|]*`[^|]*) \|/gm)) {
    const methods: string[] = [];
    for (const [, span = ""] of cell.matchAll(/`([^`]+)`/g)) {
      const method = METHODS.exec(span)?.[0];
      if (method === undefined) throw new Error(`\`${span}\` names no method.`);
      methods.push(method);
      const path = span
        .slice(method.length)
        .trim()
        .replace(/\?.*/, "")
        .replaceAll(/\/[A-Z]+(?=\/|$)/g, "/:");
      if (path === "") continue;
      routes.push(
        ...methods
          .splice(0)
          .filter((name) => name !== "HEAD")
          .map((name) => `${name} ${path}`),
      );
    }
  }
  return routes;
}
