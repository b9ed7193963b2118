import { afterAll, expect, mock, test } from "bun:test";
import { createPylonServer, PylonUnreachableError } from "./server.ts";

// The requests that are sent while a page is rendered. Next's own request exists only inside of
// Next: here it has a session's cookie and no headers.
await mock.module("next/headers", () => ({
  cookies: () => Promise.resolve({ get: () => ({ value: "a-session" }) }),
  headers: () => Promise.resolve(new Headers()),
}));

let answer: () => Response = () => new Response();
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => answer() });
afterAll(() => server.stop(true));

const pylon = createPylonServer({ url: `http://127.0.0.1:${server.port}`, cookieName: "session" });

test.each([
  ["a 401 of a proxy", () => new Response("<h1>Sign in</h1>", { status: 401 })],
  ["an empty 404", () => new Response(null, { status: 404 })],
  ["a page in place of the answer", () => new Response("<h1>Welcome</h1>")],
  ["JSON of something else", () => Response.json({ message: "Forbidden" }, { status: 403 })],
])("C2: %s is not taken for a response of the server", async (_, given) => {
  answer = given;
  for (const ask of [
    () => pylon.getSession(),
    () => pylon.json("GET", "/api/auth/me"),
    () => pylon.callFn("add", {}),
    () => pylon.queryDb("Note"),
  ])
    expect(await ask().catch((error: unknown) => error)).toBeInstanceOf(PylonUnreachableError);
});

test("C2: a rejection by the server has the server's code", async () => {
  answer = () =>
    Response.json({ error: { code: "POLICY_DENIED", message: "No." } }, { status: 403 });
  await expect(pylon.json("GET", "/api/auth/me")).rejects.toMatchObject({ code: "POLICY_DENIED" });
});
