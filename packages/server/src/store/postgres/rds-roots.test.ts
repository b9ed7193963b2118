import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";
import { connectionCandidates } from "./connection-options.ts";
import { rdsRoots } from "./rds-roots.ts";

const HOST = "shop.cluster-c2x1.eu-central-1.rds.amazonaws.com";
const tls = async (query: string, host = HOST): Promise<unknown[]> =>
  (
    await connectionCandidates({ url: `postgres://u:p@${host}/shop${query}`, ca: null })
  ).candidates.map(({ ssl }) => ssl);

test("the roots of a region are those of the region, and valid for years", async () => {
  const roots = ((await rdsRoots(HOST)) ?? []).map((pem) => new X509Certificate(pem));
  expect(roots.length).toBeGreaterThanOrEqual(3);
  for (const root of roots) {
    expect(root.subject).toContain("eu-central-1");
    expect(root.ca).toBe(true);
    expect(root.validToDate.getFullYear()).toBeGreaterThan(2050);
  }
});

test.each([
  "db.example.com",
  "localhost",
  "10.0.0.7",
  "shop.eu-central-1.rds.amazonaws.com.evil.example",
  "shop.xx-nowhere-9.rds.amazonaws.com",
  "shop.proxy-c2x1.eu-central-1.rds.amazonaws.com",
  "",
])("there are no roots for %p", async (host) => {
  expect(await rdsRoots(host)).toBeNull();
});

test("a database in RDS is verified by default and by mode; `require` is as in libpq", async () => {
  const roots = await rdsRoots(HOST);
  const checked = { rejectUnauthorized: true, ca: roots, servername: HOST };
  expect(await tls("")).toEqual([checked]);
  expect(await tls("?sslmode=verify-full")).toEqual([checked]);
  expect(await tls("?sslmode=verify-ca")).toMatchObject([checked]);
  expect(await tls("?sslmode=require")).toEqual([{ rejectUnauthorized: false, servername: HOST }]);
  expect(await tls("?sslmode=disable")).toEqual([false]);
  expect(await tls("", "db.example.com")).toEqual([
    { rejectUnauthorized: false, servername: "db.example.com" },
    false,
  ]);
});
