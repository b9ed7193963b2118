import { MAX_FETCH_BYTES } from "@pylonsync/protocol";
import { expect, test } from "bun:test";
import { functionFetch, type Fetch } from "./function-fetch.ts";

const never = new AbortController();
const unseen = () => () => undefined;

test("a request goes out with the call's signal, and no redirect is followed", async () => {
  const asked: [string, BunFetchRequestInit][] = [];
  const ask: Fetch = async (url, init) => {
    asked.push([url.href, init]);
    return new Response("moved", { status: 302, headers: { location: "http://10.0.0.1/" } });
  };
  const call = new AbortController();
  const answer = await functionFetch(
    ask,
    call,
    unseen,
  )("https://a.example/x", {
    method: "POST",
    body: "b",
    redirect: "follow",
  });
  expect([answer.status, answer.headers.get("location")]).toEqual([302, "http://10.0.0.1/"]);
  expect(asked[0]?.[0]).toBe("https://a.example/x");
  expect(asked[0]?.[1]).toMatchObject({ method: "POST", body: "b", redirect: "manual" });
  expect(asked[0]?.[1].signal?.aborted).toBe(false);
  call.abort();
  expect(asked[0]?.[1].signal?.aborted).toBe(true);
});

test("the caller's own signal also aborts the request", async () => {
  const own = new AbortController();
  let signal: AbortSignal | null | undefined;
  const ask: Fetch = async (_url, init) => {
    ({ signal } = init);
    return new Response();
  };
  await functionFetch(ask, never, unseen)("https://a.example/", { signal: own.signal });
  own.abort();
  expect(signal?.aborted).toBe(true);
});

test("other protocols and invalid URLs are rejected", async () => {
  const fetch = functionFetch(() => Promise.reject(new Error("not asked")), never, unseen);
  for (const url of ["file:///etc/passwd", "ftp://a.example/", "data:text/plain,x"])
    await expect(fetch(url)).rejects.toThrow("ctx.fetch only supports http and https");
  await expect(fetch("/relative")).rejects.toThrow(TypeError);
});

test("a response is streamed, and one that is too large fails", async () => {
  const chunk = new Uint8Array(1024 * 1024);
  let sent = 0;
  const ask: Fetch = async () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          sent += 1;
          controller.enqueue(chunk);
        },
      }),
    );
  const answer = await functionFetch(ask, never, unseen)("https://a.example/");
  expect(sent).toBeLessThan(5);
  await expect(answer.bytes()).rejects.toThrow(`more than ${MAX_FETCH_BYTES} bytes`);
  expect(sent).toBeLessThan(MAX_FETCH_BYTES / chunk.length + 5);
});

test("requests are reported with their host and outcome", async () => {
  const told: unknown[] = [];
  const answers: Fetch = async (url) => {
    if (url.pathname === "/fails") throw new TypeError("not there");
    return new Response("yes");
  };
  const fetch = functionFetch(answers, never, (host, method) => {
    told.push([host, method]);
    return (failure) => told.push(failure);
  });
  expect(await (await fetch("https://a.example/x", { method: "PUT" })).text()).toBe("yes");
  await expect(fetch("https://b.example/fails")).rejects.toThrow("not there");
  expect(told).toEqual([["a.example", "PUT"], null, ["b.example", "GET"], "TypeError"]);
});
