import { expect, test } from "bun:test";
import { ERROR_STATUS } from "@pylonsync/protocol";
import fc from "fast-check";
import { isTooLarge, writeFailureOf } from "../outbox/write-failure.ts";
import { isTimeout, isUnreachable, type Head } from "./answer.ts";
import { PylonClientError } from "./errors.ts";
import { readAnswer, requireEventStream } from "./response.ts";

function headOf(status: number, type: string | null, redirected = false): Head {
  return {
    ok: status >= 200 && status < 300,
    status,
    redirected,
    headers: new Headers(type === null ? {} : { "Content-Type": type }),
  };
}

function refusal(work: () => unknown): PylonClientError {
  try {
    work();
  } catch (error) {
    if (error instanceof PylonClientError) return error;
    throw error;
  }
  throw new Error("It was taken.");
}

const json = fc.constantFrom(
  "application/json",
  "application/json; charset=utf-8",
  "Application/JSON",
);
const failures = fc.integer({ min: 300, max: 599 });

test("the value of a 2xx JSON response is returned", () => {
  fc.assert(
    fc.property(fc.jsonValue(), json, fc.integer({ min: 200, max: 299 }), (value, type, status) => {
      const text = JSON.stringify(value);
      expect(readAnswer(headOf(status, type), text)).toEqual(JSON.parse(text));
    }),
  );
});

test("only JSON in the error format, without a redirect, is an error of the server", () => {
  const bodies = fc.oneof(
    fc.record({ error: fc.record({ code: fc.string({ minLength: 1 }), message: fc.string() }) }),
    fc.jsonValue({ maxDepth: 1 }),
  );
  const types = fc.oneof(json, fc.constantFrom("text/html", null));
  fc.assert(
    fc.property(bodies, types, failures, fc.boolean(), (body, type, status, redirected) => {
      const error = refusal(() =>
        readAnswer(headOf(status, type, redirected), JSON.stringify(body)),
      );
      const said = (body as { readonly error?: { readonly code?: unknown } } | null)?.error?.code;
      const isServers =
        typeof said === "string" &&
        (type ?? "").toLowerCase().startsWith("application/json") &&
        !redirected;
      expect([error.status, error.code]).toEqual(
        isServers ? [status, said] : [0, "UNEXPECTED_ANSWER"],
      );
      if (!isServers) expect(error.body["http_status"]).toBe(status);
    }),
  );
});

test("a response that is not JSON, cut off or of another type is not from the server", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify([value]);
      for (const [type, body] of [
        ["application/json", text.slice(0, -1)],
        ["application/json", ""],
        ["text/html", text],
        [null, text],
      ] as const)
        expect(refusal(() => readAnswer(headOf(200, type), body)).code).toBe("UNEXPECTED_ANSWER");
    }),
  );
  expect(
    refusal(() =>
      requireEventStream(new Response("", { headers: { "Content-Type": "text/html" } })),
    ).code,
  ).toBe("UNEXPECTED_ANSWER");
  requireEventStream(
    new Response("", { headers: { "Content-Type": "text/event-stream; charset=utf-8" } }),
  );
});

test("no write is dropped for a foreign or lost response, or a failing server", () => {
  fc.assert(
    fc.property(failures, fc.constantFrom("text/html", null), (status, type) => {
      expect(writeFailureOf(refusal(() => readAnswer(headOf(status, type), "<h1>no</h1>")))).toBe(
        "later",
      );
    }),
  );
  for (const error of [
    new Error("a"),
    null,
    PylonClientError.ofClient("UNREACHABLE", ""),
    PylonClientError.ofClient("TIMED_OUT", ""),
  ])
    expect(writeFailureOf(error)).toBe("later");
  fc.assert(
    fc.property(fc.integer({ min: 500, max: 599 }), fc.string(), (status, code) => {
      expect(writeFailureOf(new PylonClientError(status, { code, message: "" }))).toBe("later");
    }),
  );
  expect(writeFailureOf(PylonClientError.ofClient("UNSENDABLE", ""))).toBe("refused");
});

test("each error code of the server has one meaning for the write that was sent", () => {
  const later = new Set([404, 405, 408, 426, 429]);
  for (const [code, status] of Object.entries(ERROR_STATUS)) {
    const failure = writeFailureOf(new PylonClientError(status, { code, message: "" }));
    if (status === 401) expect([code, failure]).toEqual([code, "unauthorized"]);
    else if (status >= 500 || later.has(status) || code.endsWith("_REJECTED"))
      expect([code, failure]).toEqual([code, "later"]);
    else expect([code, failure]).toEqual([code, "refused"]);
  }
});

test("unreachable, timed out and too large are distinguished, a proxy's 413 included", () => {
  const proxy = refusal(() => readAnswer(headOf(413, "text/html"), ""));
  const server = new PylonClientError(413, { code: "PAYLOAD_TOO_LARGE", message: "" });
  const timeout = PylonClientError.ofClient("TIMED_OUT", "");
  expect([proxy, server, timeout, new Error("a")].map(isTooLarge)).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([proxy, server, timeout, null].map(isUnreachable)).toEqual([true, false, true, false]);
  expect([proxy, server, timeout, null].map(isTimeout)).toEqual([false, false, true, false]);
});
