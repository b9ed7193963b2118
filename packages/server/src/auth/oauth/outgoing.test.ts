import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemPlatform } from "../../platform.ts";
import { fetchAt, outgoing, publicAddress } from "./outgoing.ts";
import { isPublic } from "./public-address.ts";

const dir = mkdtempSync(join(tmpdir(), "pylon-tls-"));
let server: Bun.Server<undefined>;
let ca = "";
let hosts: (string | null)[] = [];

beforeAll(() => {
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      key,
      "-out",
      cert,
      "-days",
      "2",
      "-subj",
      "/CN=issuer.example",
      "-addext",
      "subjectAltName=DNS:issuer.example",
    ],
    { stdio: "ignore" },
  );
  ca = readFileSync(cert, "utf8");
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: readFileSync(key, "utf8"), cert: ca },
    fetch: (request) => {
      hosts.push(request.headers.get("host"));
      return new Response("hello");
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(dir, { recursive: true, force: true });
});

test("T12: connects to the checked address, and requires the name's certificate", async () => {
  hosts = [];
  const answer = await fetchAt(new URL(`https://issuer.example:${server.port}/x`), "127.0.0.1", {
    tls: { ca },
  });
  expect(await answer.text()).toBe("hello");
  expect(hosts).toEqual([`issuer.example:${server.port}`]);
  await expect(
    fetchAt(new URL(`https://other.example:${server.port}/x`), "127.0.0.1", { tls: { ca } }),
  ).rejects.toThrow();
  await expect(
    fetchAt(new URL(`https://issuer.example:${server.port}/x`), "127.0.0.1", {}),
  ).rejects.toThrow();
});

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.31.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "fe80::1",
  "fd00::1",
  "::ffff:127.0.0.1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "2001:db8::1",
  "not an address",
])("T12: %s is not public", (address) => expect(isPublic(address)).toBe(false));

test.each(["1.1.1.1", "172.32.0.1", "2606:4700::1111"])("%s is public", (address) =>
  expect(isPublic(address)).toBe(true),
);

test("T12: a name with a private address, and a URL without https, are rejected", async () => {
  const resolve = (host: string): Promise<string[]> =>
    Promise.resolve(
      host === "mixed.example"
        ? ["1.1.1.1", "169.254.169.254"]
        : host === "good.example"
          ? ["1.1.1.1"]
          : [],
    );
  expect(await publicAddress(new URL("https://good.example/"), resolve)).toBe("1.1.1.1");
  for (const url of [
    "https://mixed.example/",
    "https://none.example/",
    "http://good.example/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://169.254.169.254/latest",
  ]) {
    await expect(publicAddress(new URL(url), resolve)).rejects.toMatchObject({
      code: "OAUTH_UNREACHABLE",
    });
  }
});

test("T12: no redirect is followed, and no endless response read", async () => {
  const local = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.endsWith("/away")
        ? Response.redirect("http://169.254.169.254/", 302)
        : new Response("x".repeat(3 * 1024 * 1024)),
  });
  try {
    const ask = outgoing({ dev: true, platform: systemPlatform });
    for (const path of ["away", "endless"])
      await expect(ask(`${local.url.href}${path}`)).rejects.toMatchObject({
        code: "OAUTH_UNREACHABLE",
      });
  } finally {
    await local.stop(true);
  }
});
