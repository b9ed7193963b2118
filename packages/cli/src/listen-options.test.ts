import { expect, test } from "bun:test";
import { isLoopback, networkUrls, withListenOptions } from "./listen-options.ts";

const ENV = { PYLON_PORT: "4321", PYLON_HOST: "127.0.0.1", OTHER: "kept" };

test("a flag replaces its variable, and others stay", () => {
  expect(withListenOptions({ port: undefined, host: undefined }, ENV)).toEqual(ENV);
  expect(withListenOptions({ port: "0", host: "0.0.0.0" }, ENV)).toEqual({
    PYLON_PORT: "0",
    PYLON_HOST: "0.0.0.0",
    OTHER: "kept",
  });
});

test.each(["65536", "-1", "80a", "", "1e3", "4 321"])("the port %p is rejected", (port) => {
  expect(() => withListenOptions({ port, host: undefined }, ENV)).toThrow(`--port is "${port}"`);
});

test("an empty host is rejected", () => {
  expect(() => withListenOptions({ port: undefined, host: "" }, ENV)).toThrow("--host is empty");
});

test("only loopback addresses are limited to this machine", () => {
  expect(["localhost", "127.0.0.1", "127.1.2.3", "::1"].filter(isLoopback)).toHaveLength(4);
  expect(["0.0.0.0", "::", "10.0.0.1", "localhost.example.com"].filter(isLoopback)).toEqual([]);
});

test("other machines reach a specific address, in brackets for IPv6", () => {
  expect(networkUrls("127.0.0.1", 80)).toEqual([]);
  expect(networkUrls("10.0.0.1", 80)).toEqual(["http://10.0.0.1:80"]);
  expect(networkUrls("fe80::1", 80)).toEqual(["http://[fe80::1]:80"]);
});
