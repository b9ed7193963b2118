import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import { DevHosts } from "./dev-hosts.ts";

const hosts = new DevHosts(["dev.example.com", ".tunnel.example"]);

function allows(host: string | null): boolean {
  try {
    hosts.check(host);
    return true;
  } catch (error) {
    if (error instanceof PylonError && error.code === "HOST_REJECTED") return false;
    throw error;
  }
}

test.each([
  null,
  "localhost",
  "localhost:4321",
  "LOCALHOST",
  "app.localhost:4321",
  "127.0.0.1:4321",
  "127.1.2.3",
  "10.0.0.5",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.20:4321",
  "0.0.0.0:4321",
  "[::1]:4321",
  "[fd12:3456::1]",
  "[fe80::1]:4321",
  "dev.example.com",
  "DEV.example.com:443",
  "a.tunnel.example",
])("%p is local, or was named", (host) => {
  expect(allows(host)).toBe(true);
});

test.each([
  "evil.example",
  "evil.example:4321",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "10.evil.example",
  "172.32.0.1",
  "11.0.0.1",
  "8.8.8.8",
  "[2001:db8::1]",
  "[fd12.evil.example]",
  "example.com",
  "a.dev.example.com",
  "tunnel.example",
  "",
  "[",
  "a b",
  "localhost:999999",
  "localhost@evil.example",
])("%p is not", (host) => {
  expect(allows(host)).toBe(false);
});
