import { spawnSync } from "node:child_process";
import { chownSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { debianProgram, ordinaryUser } from "../../../../../tests/support/servers/debian.ts";
import { PostgresServer, WITHOUT_FLUSHING } from "../../../../../tests/support/servers/postgres.ts";
import { openPostgresStore } from "./postgres-store.ts";

describe("a Postgres with a certificate", () => {
  const dir = mkdtempSync(join(tmpdir(), "pylon-tls-"));
  const [certificate, other] = [join(dir, "server.crt"), join(dir, "other.crt")];
  let server: PostgresServer;

  beforeAll(async () => {
    const openssl = debianProgram("openssl", "openssl");
    const make = (cert: string, key: string): void => {
      const made = spawnSync(openssl, [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        key,
        "-out",
        cert,
      ]);
      if (made.status !== 0) throw new Error(`openssl failed: ${String(made.stderr)}`);
    };
    make(certificate, join(dir, "server.key"));
    make(other, join(dir, "other.key"));
    server = await PostgresServer.start([...WITHOUT_FLUSHING, "ssl=on"], (dataDir) => {
      const { uid, gid } = ordinaryUser();
      for (const file of ["server.crt", "server.key"]) {
        copyFileSync(join(dir, file), join(dataDir, file));
        chownSync(join(dataDir, file), uid, gid);
        spawnSync("chmod", ["600", join(dataDir, file)]);
      }
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function connects(host: string, query: string, ca: string | null = null): Promise<string> {
    const url = `${server.url().replace("127.0.0.1", host)}${query}`;
    const store = await openPostgresStore({
      url,
      poolMax: 2,
      ca,
      startTimeoutMs: 0,
      onState: () => undefined,
    });
    const [row] = (await store.select({ entity: "_pylon_sessions", limit: 1 })).map(({ id }) => id);
    await store.close();
    return row ?? "connected";
  }

  test("is used with and without TLS if nothing must be verified", async () => {
    for (const query of ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require"])
      expect(await connects("127.0.0.1", query)).toBe("connected");
  });

  test("is verified with a CA: its signature, and its name unless the mode says no", async () => {
    expect(await connects("localhost", "", certificate)).toBe("connected");
    expect(
      await connects(
        "localhost",
        `?sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate)}`,
      ),
    ).toBe("connected");
    expect(await connects("127.0.0.1", "?sslmode=verify-ca", certificate)).toBe("connected");
    await expect(connects("localhost", "", other)).rejects.toThrow(
      /can't be used with sslmode=verify-full/,
    );
    await expect(connects("localhost", "?sslmode=require", other)).rejects.toThrow(
      /sslmode=require/,
    );
    await expect(connects("127.0.0.1", "", certificate)).rejects.toThrow(/sslmode=verify-full/);
    await expect(connects("localhost", "?sslmode=verify-full")).rejects.toThrow(
      /self.signed|certificate/i,
    );
  });

  test("an unknown mode or file is rejected", async () => {
    await expect(connects("localhost", "?sslmode=maybe")).rejects.toThrow(
      /use one of disable, prefer/,
    );
    await expect(connects("localhost", "", join(dir, "none.crt"))).rejects.toThrow(
      /none.crt .*can't be read/,
    );
  });
});

test("a Postgres without TLS is rejected if TLS is required", async () => {
  await using server = await PostgresServer.start(WITHOUT_FLUSHING);
  const open = (mode: string) =>
    openPostgresStore({
      url: `${server.url()}?sslmode=${mode}`,
      poolMax: 2,
      ca: null,
      startTimeoutMs: 0,
      onState: () => undefined,
    });
  await expect(open("require")).rejects.toThrow(/does not support SSL/);
  await (await open("prefer")).close();
});
