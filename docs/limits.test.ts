import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as protocol from "@pylonsync/protocol";
import { BODY_LIMITS, CLIENT_MESSAGES, MAX_SOCKET_MESSAGE_BYTES } from "@pylonsync/protocol";
import { limitsDoc, routesOfServer } from "../scripts/limits-doc.ts";

const ROOT = join(import.meta.dir, "..");
/** Each is the default of a variable, which the page shows by the variable's name. */
const OF_VARIABLES = /^DEFAULT_\w+_BYTES$|^DEFAULT_BYTES_IN_FLIGHT$/;
/** Shown by the kinds of messages. */
const SHOWN_BY_KIND = new Set(["MAX_SOCKET_MESSAGE_BYTES"]);

test("limits.md is up to date: run `bun scripts/limits-doc.ts`", async () => {
  const page = readFileSync(join(import.meta.dir, "limits.md"), "utf8");
  expect(page).toBe(limitsDoc(await routesOfServer()));
});

test("every cap of the limits.ts files of protocol and query is on the page", () => {
  const script = [
    ["limits-table.ts", "const LIMIT_SECTIONS"],
    ["limits-doc.ts", "const INTRO"],
  ].map(([name = "", start = ""]) => {
    const text = readFileSync(join(ROOT, "scripts", name), "utf8");
    return text.slice(text.indexOf(start));
  });
  const sources = ["protocol", "query"].map((name) =>
    readFileSync(join(ROOT, "packages", name, "src", "limits.ts"), "utf8"),
  );
  const caps = [...sources.join("\n").matchAll(/^export const (\w+)/gm)].map(
    ([, name = ""]) => name,
  );
  expect(caps.length).toBeGreaterThan(20);
  expect(
    caps.filter(
      (name) =>
        !OF_VARIABLES.test(name) &&
        !SHOWN_BY_KIND.has(name) &&
        !new RegExp(`\\b${name}\\b`).test(script.join()),
    ),
  ).toEqual([]);
});

test("D2: every route limits its body, and one that reads a body names its size", async () => {
  const routes = await routesOfServer();
  expect(routes.length).toBeGreaterThan(80);
  for (const { method, path, body } of routes) {
    expect({ method, path, body: BODY_LIMITS[body] }).toEqual({
      method,
      path,
      body: expect.any(Number),
    });
  }
  // What is read whole is small, unless rows need more.
  const large = routes.filter(
    ({ body }) => body !== "stream" && BODY_LIMITS[body] > BODY_LIMITS.small,
  );
  expect(large.filter(({ path }) => path.startsWith("/api/auth/"))).toEqual([]);
  expect(
    routes
      .filter(({ body }) => body === "stream")
      .map(({ method, path }) => `${method} ${path}`)
      .toSorted(),
  ).toEqual([
    "PATCH /api/files/tus/:id",
    "POST /api/files/upload",
    "POST /api/import",
    "POST /api/import/:entity",
    "PUT /api/files/:id/content",
  ]);
});

test("D4: every kind of message that a socket may send has a limit", () => {
  const source = readFileSync(
    join(ROOT, "packages", "server", "src", "rooms", "client-messages.ts"),
    "utf8",
  );
  const relayed = [...source.matchAll(/(?<!typeof )type === "(\w+)"/g)].map(
    ([, type = ""]) => type,
  );
  expect([...relayed, "ping"].toSorted()).toEqual(Object.keys(CLIENT_MESSAGES).toSorted());
  for (const bytes of Object.values(CLIENT_MESSAGES))
    expect(bytes).toBeLessThanOrEqual(MAX_SOCKET_MESSAGE_BYTES);
  expect(protocol.SOCKET_RATE.frames).toBeGreaterThan(protocol.SOCKET_RATE.relayed);
});
