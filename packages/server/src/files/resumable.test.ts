import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_OPEN_UPLOADS } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import fc from "fast-check";
import { Upload } from "tus-js-client";
import { until } from "../../../../tests/support/client.ts";
import { appOf, startServer, type TestServer } from "../../../../tests/support/server.ts";
import { BACKENDS, type Backend } from "./testing/backends.ts";
import { FileClient } from "./testing/client.ts";

const MIB = 1024 * 1024;
const app = appOf(
  buildManifest({
    name: "resumable",
    version: "1.0.0",
    entities: [
      entity("Album", {
        ownerId: field.string(),
        cover: field.file({ accept: ["image/*"], maxBytes: 1000 }).optional(),
      }),
    ],
    policies: [policy({ name: "own", entity: "Album", allow: "auth.userId == data.ownerId" })],
  }),
);

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const sha256 = (bytes: Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
/** Bytes that differ by position. */
const bytesOf = (size: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8) * 7) & 255);

/** A client of the protocol, with one method per request. */
class TusClient extends FileClient {
  send(method: string, path: string, headers: Record<string, string> = {}, body?: Uint8Array) {
    return fetch(this.url + path, {
      method,
      headers: { "Tus-Resumable": "1.0.0", ...this.authorization, ...headers },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
  }
  async begin(size: number, metadata: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await this.create(size, metadata);
    if (answer.status !== 201) throw new Error(await answer.text());
    return answer.headers.get("location") ?? "";
  }
  create(size: number, metadata: Readonly<Record<string, string>> = {}): Promise<Response> {
    const pairs = Object.entries(metadata).map(([key, value]) => `${key} ${base64(value)}`);
    return this.send("POST", "/api/files/tus", {
      "Upload-Length": String(size),
      "Upload-Metadata": pairs.join(","),
    });
  }
  patch(path: string, offset: number, body: Uint8Array): Promise<Response> {
    const type = "application/offset+octet-stream";
    const headers = { "Content-Type": type, "Upload-Offset": String(offset) };
    return this.send("PATCH", path, headers, body);
  }
  async offset(path: string): Promise<number | string> {
    const { status, headers } = await this.send("HEAD", path);
    return status === 200 ? Number(headers.get("upload-offset")) : `answered ${status}`;
  }
  /** Sends only the first bytes of a longer chunk; @returns a function that drops the connection */
  async stall(path: string, offset: number, sent: Uint8Array, length: number): Promise<() => void> {
    const { hostname, port } = new URL(this.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    const head = [
      `PATCH ${path} HTTP/1.1`,
      `Host: ${hostname}:${port}`,
      `Authorization: Bearer ${String(this.token)}`,
      "Tus-Resumable: 1.0.0",
      "Content-Type: application/offset+octet-stream",
      `Upload-Offset: ${offset}`,
      `Content-Length: ${length}`,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    await new Promise<void>((resolve, reject) =>
      socket.write(sent, (error) => (error instanceof Error ? reject(error) : resolve())),
    );
    return () => void socket.destroy();
  }
  async content(path: string): Promise<Uint8Array> {
    const response = await this.download(idOf(path));
    expect(response.status).toBe(200);
    return new Uint8Array(await response.arrayBuffer());
  }
}
const idOf = (path: string): string => path.split("/").at(-1) ?? "";
const signIn = async (url: string): Promise<TusClient> => {
  const { token, userId } = await FileClient.signIn(url);
  return new TusClient(url, token, userId);
};
async function codeOf(response: Response): Promise<unknown> {
  const { error } = (await response.json()) as {
    readonly error: { readonly code: string; readonly field?: string };
  };
  return [response.status, error.code, error.field];
}

describe.each(["local", "s3"] as const)("resumable uploads, in %s", (kind) => {
  let backend: Backend;
  let server: TestServer;
  let ann: TusClient;
  let later = 0;

  beforeAll(async () => {
    backend = await BACKENDS[kind]();
    const platform = {
      now: () => Date.now() + later,
      random: (bytes: Uint8Array) => void crypto.getRandomValues(bytes),
    };
    server = await startServer(app, backend.env, platform);
    ann = await signIn(server.url);
  });
  afterAll(async () => {
    await server.stop();
    await backend.stop();
  });

  test("a file sent in chunks of any size, some cut off, is complete", async () => {
    const pieces = fc.array(fc.record({ size: fc.nat(400), isStalled: fc.boolean() }), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 900 }), pieces, async (size, list) => {
        const bytes = bytesOf(size);
        const path = await ann.begin(size, { filename: "a.txt", sha256: sha256(bytes) });
        let at = 0;
        for (const { size: length, isStalled } of list) {
          const piece = bytes.subarray(at, at + length);
          if (isStalled && at + piece.length < size && piece.length > 0) {
            const letGo = await ann.stall(path, at, piece, size - at);
            // Requesting the offset ends the open request, and keeps the bytes received.
            const known = await ann.offset(path);
            letGo();
            expect(known).toBeGreaterThanOrEqual(at);
            expect(known).toBeLessThanOrEqual(at + piece.length);
            at = Number(known);
          } else {
            const answer = await ann.patch(path, at, piece);
            expect(answer.status).toBe(204);
            at += piece.length;
            expect(answer.headers.get("upload-offset")).toBe(String(at));
          }
        }
        expect(await ann.offset(path)).toBe(at);
        expect((await ann.patch(path, at, bytes.subarray(at))).status).toBe(204);
        expect([await ann.offset(path), await ann.content(path)]).toEqual([size, bytes]);
      }),
      { numRuns: 12 },
    );
  }, 60_000);

  test("a client of the protocol from npm continues where it was cut off", async () => {
    const bytes = bytesOf(12 * MIB + 12_345);
    const known: number[] = [];
    const start = (urlStorage: { url: string | null }, stopAt: number): Promise<string> =>
      new Promise((resolve, reject) => {
        const upload = new Upload(Buffer.from(bytes), {
          endpoint: `${server.url}/api/files/tus`,
          uploadUrl: urlStorage.url,
          headers: { ...ann.authorization },
          metadata: { filename: "käse.bin", filetype: "image/png", sha256: sha256(bytes) },
          chunkSize: 3 * MIB,
          retryDelays: [],
          storeFingerprintForResuming: false,
          onUploadUrlAvailable: () => void (urlStorage.url = upload.url),
          onChunkComplete: (_size, accepted) => {
            known.push(accepted);
            if (accepted >= stopAt) void upload.abort().then(() => resolve("stopped"));
          },
          onSuccess: () => resolve("done"),
          onError: reject,
        });
        upload.start();
      });
    const storage = { url: null as string | null };
    expect(await start(storage, 6 * MIB)).toBe("stopped");
    expect(await start(storage, Infinity)).toBe("done");
    expect(known).toEqual([3, 6, 9, 12].map((mib) => mib * MIB).concat(bytes.length));
    const path = new URL(storage.url ?? "").pathname;
    expect(Buffer.compare(await ann.content(path), bytes)).toBe(0);
    const { headers } = await ann.download(idOf(path));
    expect([headers.get("content-type"), headers.get("content-disposition")]).toEqual([
      "image/png",
      expect.stringContaining("k%C3%A4se.bin"),
    ]);
  }, 60_000);

  test("a chunk that crosses the edge of a part is cut off, and continued", async () => {
    const bytes = bytesOf(6 * MIB);
    const path = await ann.begin(bytes.length);
    let at = 0;
    // Requesting the offset may end the request before any of it has arrived: then it is sent
    // again.
    await until(async () => {
      const letGo = await ann.stall(path, at, bytes.subarray(at, 5 * MIB + 1000), 6 * MIB - at);
      at = Number(await ann.offset(path));
      letGo();
      return at > 0;
    });
    expect((await ann.patch(path, at, bytes.subarray(at))).status).toBe(204);
    expect(Buffer.compare(await ann.content(path), bytes)).toBe(0);
    expect(await backend.count()).toBeGreaterThan(0);
  }, 30_000);

  test("one request writes at a time, and the newer one continues", async () => {
    const bytes = bytesOf(300);
    const path = await ann.begin(300);
    const letGo = await ann.stall(path, 0, bytes.subarray(0, 100), 300);
    // A request at a different offset than the first one is rejected, and the first one is ended.
    expect((await ann.patch(path, 300, new Uint8Array())).status).toBe(409);
    letGo();
    const at = Number(await ann.offset(path));
    expect((await ann.patch(path, at, bytes.subarray(at))).status).toBe(204);
    expect(await ann.content(path)).toEqual(bytes);
  });

  test("uploads at a wrong offset, of another kind or of too many bytes are rejected", async () => {
    const bytes = bytesOf(10);
    const path = await ann.begin(10);
    expect(await codeOf(await ann.patch(path, 4, bytes))).toEqual([
      409,
      "CONFLICT",
      "Upload-Offset",
    ]);
    expect(await codeOf(await ann.patch(path, 0, bytesOf(11)))).toEqual([
      400,
      "INVALID_DATA",
      "Upload-Length",
    ]);
    expect(await codeOf(await ann.send("PATCH", path, { "Upload-Offset": "0" }, bytes))).toEqual([
      415,
      "UNSUPPORTED_MEDIA_TYPE",
      "Content-Type",
    ]);
    const old = await ann.send("HEAD", path, { "Tus-Resumable": "0.2.2" });
    expect([old.status, old.headers.get("tus-version")]).toEqual([412, "1.0.0"]);
    for (const [headers, field] of [
      [{}, "Upload-Length"],
      [{ "Upload-Length": "-1" }, "Upload-Length"],
      [{ "Upload-Length": "1e3" }, "Upload-Length"],
      [{ "Upload-Length": "5", "Upload-Metadata": "a b c" }, "Upload-Metadata"],
      [{ "Upload-Length": "5", "Upload-Metadata": "x".repeat(5000) }, "Upload-Metadata"],
      [{ "Upload-Length": "5", "Upload-Metadata": `sha256 ${base64("no")}` }, "checksum"],
    ] as const) {
      const refused = await ann.send("POST", "/api/files/tus", headers);
      expect(await codeOf(refused)).toEqual([400, expect.any(String), field]);
    }
    expect(await ann.offset(path)).toBe(0);
  });

  test("a field's rules apply from the beginning, and its file is put into a row", async () => {
    const cover = { entity: "Album", field: "cover", filename: "a.png", filetype: "image/png" };
    expect((await ann.create(1001, cover)).status).toBe(413);
    expect((await ann.create(10, { ...cover, filetype: "text/html" })).status).toBe(400);
    expect(await codeOf(await ann.create(10, { ...cover, field: "covr" }))).toEqual([
      400,
      "INVALID_COLUMN",
      "field",
    ]);
    const path = await ann.begin(10, cover);
    await ann.patch(path, 0, bytesOf(10));
    const album = await ann.insert("Album", { ownerId: ann.userId, cover: idOf(path) });
    expect(album).toBeString();
  });

  test("only its owner can see, continue and end an upload", async () => {
    const bob = await signIn(server.url);
    const path = await ann.begin(10);
    expect(await bob.offset(path)).toBe("answered 404");
    expect((await bob.patch(path, 0, bytesOf(10))).status).toBe(404);
    expect((await bob.send("DELETE", path)).status).toBe(404);
    expect((await new TusClient(server.url, null).send("HEAD", path)).status).toBe(401);
    expect(await ann.offset(path)).toBe(0);
    // Before it is complete it can't be read, not even by its owner.
    expect(await ann.statusOf(idOf(path))).toBe(404);
  });

  test("an upload without the announced checksum is deleted", async () => {
    const path = await ann.begin(10, { sha256: sha256(bytesOf(11)) });
    await ann.patch(path, 0, bytesOf(10).subarray(0, 4));
    expect(await codeOf(await ann.patch(path, 4, bytesOf(10).subarray(4)))).toEqual([
      400,
      "CHECKSUM_MISMATCH",
      undefined,
    ]);
    expect(await ann.offset(path)).toBe("answered 404");
  });

  test("a file of 0 bytes exists immediately", async () => {
    const path = await ann.begin(0, { filename: "empty.txt", sha256: sha256(new Uint8Array()) });
    expect([await ann.offset(path), await ann.content(path)]).toEqual([0, new Uint8Array()]);
  });

  test("an upload that is ended, or not finished in time, leaves nothing", async () => {
    const stored = await backend.count();
    const ended = await ann.begin(10);
    await ann.patch(ended, 0, bytesOf(4));
    expect(await backend.count()).toBe(stored + 1);
    expect((await ann.send("DELETE", ended)).status).toBe(204);
    expect(await ann.offset(ended)).toBe("answered 404");
    const path = await ann.begin(10);
    await ann.patch(path, 0, bytesOf(4));
    const answer = await ann.send("HEAD", path);
    const expires = Date.parse(answer.headers.get("upload-expires") ?? "");
    expect(Math.abs(expires - Date.now() - 24 * 60 * 60_000)).toBeLessThan(60_000);
    later = 25 * 60 * 60_000;
    // The S3 of the tests can't abort a multipart upload, so it keeps the part.
    if (kind === "local") {
      await server.server.maintain();
      expect(await ann.offset(path)).toBe("answered 404");
      // Nor does anything remain that other tests have left.
      expect(await backend.count()).toBeLessThanOrEqual(stored);
    }
    later = 0;
  });

  test("a user has a maximum number of unfinished uploads", async () => {
    const eve = await signIn(server.url);
    const paths: string[] = [];
    for (let count = 0; count < MAX_OPEN_UPLOADS; count += 1) paths.push(await eve.begin(1));
    expect(await codeOf(await eve.create(1))).toEqual([429, "FILE_QUOTA_REACHED", undefined]);
    await eve.patch(paths[0] ?? "", 0, bytesOf(1));
    expect((await eve.create(1)).status).toBe(201);
  });

  test("concurrent uploads are counted too", async () => {
    const eve = await signIn(server.url);
    const begun = await Promise.all(
      Array.from({ length: 2 * MAX_OPEN_UPLOADS }, async () => (await eve.create(1)).status),
    );
    expect(begun.filter((status) => status === 201).length).toBeLessThanOrEqual(MAX_OPEN_UPLOADS);
    expect(new Set(begun)).toEqual(new Set([201, 429]));
  }, 30_000);

  test("only its last chunk makes it a file, whose checksum is then verified", async () => {
    const path = await ann.begin(5 * MIB, { sha256: sha256(bytesOf(11)) });
    const { status, body } = await ann.request("POST", `/api/files/${idOf(path)}/complete`, {
      parts: [{ number: 1, etag: "0" }],
    });
    expect([status, body]).toMatchObject([409, { error: { field: "id" } }]);
    expect(await ann.offset(path)).toBe(0);
  });

  test("the server may stop between two chunks, and after the last", async () => {
    const dir = mkdtempSync(join(tmpdir(), "pylon-resumable-"));
    const env = {
      ...backend.env,
      PYLON_IN_MEMORY: "0",
      PYLON_DB_PATH: join(dir, "pylon.db"),
    };
    const bytes = bytesOf(100);
    const before = await startServer(app, env);
    const eve = await signIn(before.url);
    const path = await eve.begin(100);
    await eve.patch(path, 0, bytes.subarray(0, 40));
    await before.stop();
    const after = await startServer(app, env);
    const again = new TusClient(after.url, eve.token, eve.userId);
    expect(await again.offset(path)).toBe(40);
    expect((await again.patch(path, 40, bytes.subarray(40))).status).toBe(204);
    expect(await again.content(path)).toEqual(bytes);
    await after.stop();
    rmSync(dir, { recursive: true });
  });
});
