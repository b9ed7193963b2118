import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { ConnectionLimit } from "./connection-limit.ts";
import { listenError } from "./listen-error.ts";

test("an address may have a number of connections, and gets one back when one closes", () => {
  const limit = new ConnectionLimit(2);
  limit.take("192.0.2.1");
  limit.take("192.0.2.1");
  expect(() => limit.take("192.0.2.1")).toThrow("This IP address already has 2 open connections.");
  limit.take("192.0.2.2");
  limit.release("192.0.2.1");
  limit.take("192.0.2.1");
  expect(() => limit.take("192.0.2.1")).toThrow(PylonError);
});

test("IPv6 addresses of one network count as one", () => {
  const limit = new ConnectionLimit(1);
  limit.take("2001:db8::1");
  expect(() => limit.take("2001:db8::2")).toThrow(PylonError);
  limit.take("2001:db8:1::1");
});

test("the error of a port that can't be opened says why, and what to do", () => {
  const config = { host: "example", port: 4321 };
  const text = (code: string, purpose: "all" | "sse", port: number): string =>
    String(listenError(Object.assign(new Error("no"), { code }), config, purpose, port));
  expect(text("EADDRINUSE", "all", 4321)).toContain(
    "Port 4321 is in use: stop the process that uses it, or choose another port with --port or " +
      "PYLON_PORT.",
  );
  expect(text("EADDRINUSE", "sse", 4323)).toContain(
    "Port 4323 is in use: it is the port 4321 + 2, for event streams of older clients. Stop the " +
      "process that uses it, choose another port with --port or PYLON_PORT, or set " +
      "PYLON_SINGLE_PORT=1",
  );
  expect(text("EACCES", "all", 80)).toContain("This user may not open port 80");
  for (const code of ["EADDRNOTAVAIL", "EINVAL", "ENOENT", "ENOTFOUND"])
    expect(text(code, "all", 1)).toContain('"example" is not an address of this machine');
  const other = new Error("other");
  expect(listenError(other, config, "all", 1)).toBe(other);
});
