import { expect, test } from "bun:test";
import fc from "fast-check";
import { isDevServer, socketUrl, withCursor } from "./url.ts";

const base = fc
  .tuple(
    fc.constantFrom("http", "https"),
    fc.constantFrom("app.test", "localhost", "[::1]"),
    fc.constantFrom("", ":8080"),
    fc.constantFrom("", "/", "/base", "/base/"),
  )
  .map(([scheme, host, port, path]) => ({ scheme, host, port, path }));

test("the socket has the same host, port, path and security as the server", () => {
  fc.assert(
    fc.property(base, ({ scheme, host, port, path }) => {
      const socket = scheme === "https" ? "wss" : "ws";
      expect(socketUrl(`${scheme}://${host}${port}${path}`)).toBe(
        `${socket}://${host}${port}${path.replace(/\/$/, "")}/ws`,
      );
    }),
  );
});

test("the cursor is in the query, and replaces a previous one", () => {
  fc.assert(
    fc.property(fc.nat(), fc.option(fc.string()), fc.nat(), (seq, epoch, before) => {
      const earlier = withCursor("wss://app.test/ws?shard=2", { seq: before, epoch });
      const url = new URL(withCursor(earlier, { seq, epoch }));
      expect(url.searchParams.getAll("since")).toEqual([String(seq)]);
      expect(url.searchParams.get("epoch")).toBe(epoch?.toWellFormed() ?? null);
      expect(url.searchParams.get("shard")).toBe("2");
    }),
  );
});

test("the developer's own machine is distinguished from others", () => {
  for (const url of ["http://localhost:4321", "http://127.0.0.1", "http://[::1]:80"])
    expect(isDevServer(url)).toBe(true);
  for (const url of ["https://example.com", "https://localhost.example.com"])
    expect(isDevServer(url)).toBe(false);
});
