import { afterEach, expect, mock, spyOn, test } from "bun:test";
import { Api, ApiError, devSession, isAdminToken } from "./api.ts";

afterEach(() => mock.restore());

/** Lets the server respond with this, and returns the requests that it gets. */
function serve(respond: () => Response): Request[] {
  const requests: Request[] = [];
  const handle = (path: unknown, init?: RequestInit): Promise<Response> => {
    requests.push(new Request(`http://localhost${String(path)}`, init));
    return Promise.resolve(respond());
  };
  spyOn(globalThis, "fetch").mockImplementation(Object.assign(handle, { preconnect: () => {} }));
  return requests;
}

const never = (): void => {
  throw new Error("The token is still valid.");
};

test.each([
  ["a response", { error: { code: "NOT_FOUND", message: "No such row.", hint: "Look again." } }],
  [
    "a transaction",
    {
      committed: false,
      results: [
        { op: "insert", id: "a", ok: true },
        { op: "update", ok: false, error: { code: "NOT_FOUND", message: "No such row." } },
      ],
    },
  ],
])("the error of %s has its code and message", (_, body) => {
  expect(new ApiError(404, body)).toMatchObject({ code: "NOT_FOUND", message: "No such row." });
});

test.each([null, "<html>", {}, { error: 5 }, { results: [1] }])(
  "a response of another shape, %p, has the status",
  (body) => {
    expect(new ApiError(502, body)).toMatchObject({
      code: "HTTP_502",
      message: "The server responded with 502.",
      field: undefined,
    });
  },
);

test("the token is in a header, and never in an address", async () => {
  const requests = serve(() => Response.json({ ok: true }));
  const api = new Api("secret", never);
  await api.get("/api/jobs");
  await api.send("POST", "/api/run", { function: "f" });
  await api.send("DELETE", "/api/jobs/1");
  expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "GET http://localhost/api/jobs",
    "POST http://localhost/api/run",
    "DELETE http://localhost/api/jobs/1",
  ]);
  for (const { headers } of requests) expect(headers.get("authorization")).toBe("Bearer secret");
  expect(await requests[1]?.json()).toEqual({ function: "f" });
});

test.each([
  [401, 1],
  [403, 0],
  [429, 0],
  [503, 0],
])("after a response with %p, the token has ended: %p", async (status, ends) => {
  serve(() => Response.json({ error: { code: "REFUSED", message: "No." } }, { status }));
  const onEnded = mock();
  const request = new Api("secret", onEnded).get("/api/jobs");
  expect(await request.catch((error: unknown) => error)).toMatchObject({ status, code: "REFUSED" });
  expect(onEnded).toHaveBeenCalledTimes(ends);
});

test("a token that has ended is not sent again, and its end is told once", async () => {
  const requests = serve(() => Response.json({}, { status: 401 }));
  const onEnded = mock();
  const api = new Api("secret", onEnded);
  const statusOf = (error: unknown): unknown => error instanceof ApiError && error.status;
  const { signal } = new AbortController();
  const together = [api.get("/api/jobs"), api.get("/api/scheduler")];
  for (const request of together) expect(await request.catch(statusOf)).toBe(401);
  expect(await api.get("/api/jobs").catch(statusOf)).toBe(401);
  expect(await api.follow("/api/admin/logs", signal, never).catch(statusOf)).toBe(401);
  expect([requests.length, onEnded.mock.calls.length]).toEqual([2, 1]);
});

test("a followed response is read line by line, however its bytes are divided", async () => {
  const bytes = new TextEncoder().encode('{"a":"ä"}\n\n{"b":1}\nrest without an end');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  serve(() => new Response(body));
  const lines: string[] = [];
  const { signal } = new AbortController();
  await new Api("secret", never).follow("/api/admin/logs", signal, (line) => lines.push(line));
  expect(lines).toEqual(['{"a":"ä"}', '{"b":1}']);
});

test.each([
  [
    { token: "t", has_mailbox: true },
    { token: "t", hasMailbox: true },
  ],
  [
    { token: null, has_mailbox: false },
    { token: null, hasMailbox: false },
  ],
  [{ token: 5 }, { token: null, hasMailbox: false }],
  ["<html>", { token: null, hasMailbox: false }],
])("the session %j is %j", async (body, session) => {
  const requests = serve(() => Response.json(body));
  expect(await devSession()).toEqual(session);
  expect(requests[0]?.method).toBe("POST");
});

test("a refused session has no token, but the reason", async () => {
  const error = { code: "FORBIDDEN", message: "No.", hint: "Enter the token." };
  serve(() => Response.json({ error }, { status: 403 }));
  expect(await devSession()).toEqual({ token: null, hasMailbox: false, hint: "Enter the token." });
});

test.each([
  ["of the admin", 200, { session: { is_admin: true } }, true],
  ["of a user", 200, { session: { is_admin: false } }, false],
  ["of another shape", 200, { session: { is_admin: "yes" } }, false],
  ["without a session", 200, { session: null }, false],
  ["of a proxy", 200, "<html>", false],
  ["that refuses the token", 401, { session: { is_admin: true } }, false],
])("a response %s, with %p and %j, says that it is the admin: %p", async (_, status, body, is) => {
  const requests = serve(() => Response.json(body, { status }));
  expect(await isAdminToken("entered")).toBe(is);
  expect(requests[0]?.headers.get("authorization")).toBe("Bearer entered");
});
