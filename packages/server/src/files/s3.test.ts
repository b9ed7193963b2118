import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf, startServer, type TestServer } from "../../../../tests/support/server.ts";
import { Log } from "../observe/log.ts";
import { systemPlatform } from "../platform.ts";
import { S3Storage, type S3StorageOptions } from "./s3-storage.ts";
import { S3Server } from "../../../../tests/support/servers/s3.ts";
import { startS3, type Backend } from "./testing/backends.ts";
import { FileClient, PNG } from "./testing/client.ts";

const ID = "0123456789".repeat(4);
const MIB = 1024 * 1024;
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
);

describe("S3 that clients can reach", () => {
  let s3: Backend;
  let server: TestServer;
  let alice: FileClient;
  let bob: FileClient;
  beforeAll(async () => {
    s3 = await startS3();
    server = await startServer(app, s3.env);
    alice = await FileClient.signIn(server.url);
    bob = await FileClient.signIn(server.url);
  });
  afterAll(async () => {
    await server.stop();
    await s3.stop();
  });

  test("serves downloads directly if configured, and only to those who may read", async () => {
    const id = await alice.image();
    const response = await alice.download(id, {}, "?redirect=1");
    const location = response.headers.get("location") ?? "";
    expect([response.status, response.headers.get("cache-control")]).toEqual([
      302,
      "private, no-store",
    ]);
    const direct = await fetch(location);
    expect(new Uint8Array(await direct.arrayBuffer())).toEqual(PNG);
    expect(new URL(location).searchParams.get("response-content-type")).toBe("image/png");
    expect((await new FileClient(server.url, null).download(id, {}, "?redirect=1")).status).toBe(
      404,
    );
    const svg = await alice.upload("<svg/>", { "Content-Type": "image/svg+xml" });
    const unsafe = new URL(
      (await alice.download(svg.id, {}, "?redirect=1")).headers.get("location") ?? "",
    ).searchParams;
    expect([
      unsafe.get("response-content-type"),
      unsafe.get("response-content-disposition")?.split(";")[0],
    ]).toEqual(["application/octet-stream", "attachment"]);
  });

  test("accepts a multipart upload", async () => {
    const size = 5 * MIB + 1000;
    const content = crypto
      .getRandomValues(new Uint8Array(65_000))
      .toBase64()
      .repeat(70)
      .slice(0, size)
      .padEnd(size, "x");
    const { status, body } = await alice.request("POST", "/api/files/presign", {
      name: "a.bin",
      content_type: "application/zip",
      size,
      parts: 2,
    });
    expect(status).toBe(201);
    const id = String(body["id"]);
    const parts = await Promise.all(
      (body["parts"] as { number: number; url: string }[]).map(async ({ number, url }) => {
        const sent = await fetch(url, {
          method: "PUT",
          body: number === 1 ? content.slice(0, 5 * MIB) : content.slice(5 * MIB),
        });
        return { number, etag: sent.headers.get("etag") };
      }),
    );
    expect((await alice.request("POST", `/api/files/${id}/complete`)).body).toMatchObject({
      error: { code: "MISSING_FIELD" },
    });
    expect((await bob.request("POST", `/api/files/${id}/complete`, { parts })).status).toBe(404);
    expect(
      (await alice.request("POST", `/api/files/${id}/complete`, { parts: parts.toReversed() }))
        .body,
    ).toMatchObject({ id, size });
    expect(await (await alice.download(id)).text()).toBe(content);
  });

  test("signs the size and the type into an upload's URL", async () => {
    const { body } = await alice.request("POST", "/api/files/presign", {
      name: "a.png",
      content_type: "image/png",
      size: 4,
      checksum: "0".repeat(64),
    });
    const { url, headers } = body["upload"] as { url: string; headers: Record<string, string> };
    expect(new URL(url).searchParams.get("X-Amz-SignedHeaders")).toBe(
      "content-length;content-type;host;if-none-match;x-amz-checksum-sha256",
    );
    expect(Object.keys(headers)).toEqual([
      "Content-Type",
      "If-None-Match",
      "x-amz-checksum-sha256",
    ]);
    expect((await fetch(url, { method: "PUT", headers, body: "12345" })).status).toBe(403);
    expect(
      (
        await fetch(url, {
          method: "PUT",
          headers: { ...headers, "Content-Type": "text/html" },
          body: "1234",
        })
      ).status,
    ).toBe(403);
  });
});

describe("S3 that fails", () => {
  const lines: string[] = [];
  const log = new Log({
    level: "error",
    format: "json",
    now: Date.now,
    write: (line) => lines.push(line),
  });
  const storage = (options: Partial<S3StorageOptions>): S3Storage =>
    new S3Storage({
      bucket: "files-of-the-tests",
      region: "us-east-1",
      endpoint: undefined,
      credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
      maxBytes: MIB,
      log,
      platform: systemPlatform,
      ...options,
    });
  const content = async function* (): AsyncGenerator<Uint8Array> {
    yield PNG;
  };

  test("by rejecting requests is reported in the log, with what is missing", async () => {
    const s3 = await startS3();
    const refused = storage({
      endpoint: s3.endpoint,
      credentials: { accessKeyId: "S3RVER", secretAccessKey: "wrong" },
    });
    lines.length = 0;
    await expectUnavailable([
      refused.put(ID, content(), { contentType: "image/png" }),
      refused.get(ID, { start: 0, end: 1 }),
      refused.info(ID),
      refused.delete(ID, null),
    ]);
    for (const permission of [
      "s3:PutObject",
      "s3:GetObject",
      "s3:GetObject and s3:ListBucket",
      "s3:DeleteObject",
    ]) {
      expect(
        lines.some(
          (line) => line.includes(`allow ${permission}.`) && line.includes("files-of-the-tests"),
        ),
      ).toBe(true);
    }
    expect(lines.join()).not.toContain("wrong");
    const lost = storage({ endpoint: s3.endpoint, bucket: "no-such-bucket" });
    await expectUnavailable([lost.get(ID, { start: 0, end: 1 })]);
    expect(lines.at(-1)).toContain("The bucket no-such-bucket does not exist");
    await s3.stop();
  });

  test("by not responding is aborted after a timeout", async () => {
    const sockets: Socket[] = [];
    const silent: Server = createServer((socket) => void sockets.push(socket));
    silent.listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const endpoint = `http://127.0.0.1:${port}`;
    const patient = storage({ endpoint, requestMs: 3_600_000 });
    const slow = storage({ endpoint, requestMs: 200 });
    let isPatient = true;
    const asked = patient.get(ID, { start: 0, end: 1 }).catch(() => void (isPatient = false));
    await expectUnavailable([
      slow.put(ID, content(), { contentType: "image/png" }),
      slow.get(ID, { start: 0, end: 1 }),
      slow.delete(ID, "x"),
    ]);
    // The client with a longer timeout started before, and is still waiting.
    expect(isPatient).toBe(true);
    // Its tries end with the server, and not after hours.
    silent.close();
    for (const socket of sockets) socket.destroy();
    await asked;
    patient.close();
    slow.close();
  });

  test("is not the client's fault: it learns only that it should retry", async () => {
    const s3 = await S3Server.start();
    const server = await startServer(app, {
      ...s3.env,
      PYLON_LOG_FORMAT: "json",
      PYLON_LOG_LEVEL: "error",
    });
    try {
      const alice = await FileClient.signIn(server.url);
      const id = await alice.image();
      await s3.down();
      const { status, code, body } = await alice.upload(PNG);
      expect([status, code]).toEqual([503, "STORAGE_UNAVAILABLE"]);
      expect(body["error"]).toMatchObject({ retry_after_secs: 5 });
      expect(JSON.stringify(body)).not.toMatch(/bucket|127\.0\.0\.1|files-of|ECONN/);
      const down = await alice.download(id);
      expect([down.status, down.headers.get("retry-after")]).toEqual([503, "5"]);
      expect((await alice.request("DELETE", `/api/files/${id}`)).status).toBe(200);
      await s3.up();
      await alice.image();
      // The deleted object still exists until the maintenance deletes it.
      expect(s3.count()).toBe(2);
      await server.server.maintain();
      expect(s3.count()).toBe(1);
    } finally {
      await server.stop();
      await s3.stop();
    }
  });
});

async function expectUnavailable(attempts: readonly Promise<unknown>[]): Promise<void> {
  const reasons = (await Promise.allSettled(attempts)).map((outcome) =>
    outcome.status === "rejected" ? (outcome.reason as unknown) : outcome.value,
  );
  for (const reason of reasons)
    expect(reason).toMatchObject({ code: "STORAGE_UNAVAILABLE", status: 503 });
}

test("Amazon's buckets are addressed by host, those of others by path", async () => {
  const host = async (endpoint: string | undefined): Promise<string> => {
    const credentials = { accessKeyId: "A", secretAccessKey: "B" };
    const log = new Log({ level: "error", format: "json", now: Date.now, write: () => undefined });
    const storage = new S3Storage({
      bucket: "photos",
      region: "eu-west-1",
      endpoint,
      credentials,
      maxBytes: MIB,
      log,
      platform: systemPlatform,
    });
    const { host: name, pathname } = new URL(
      await storage.presignDownload(ID, {
        contentType: "text/plain",
        disposition: "inline",
        expiresIn: 60,
      }),
    );
    storage.close();
    return `${name}${pathname.slice(0, pathname.indexOf("files"))}`;
  };
  expect(await host(undefined)).toBe("photos.s3.eu-west-1.amazonaws.com/");
  expect(await host("https://s3.eu-west-1.amazonaws.com")).toBe(
    "photos.s3.eu-west-1.amazonaws.com/",
  );
  expect(await host("http://minio:9000")).toBe("minio:9000/photos/");
});
