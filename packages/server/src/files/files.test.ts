import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { until } from "../../../../tests/support/client.ts";
import {
  ADMIN_TOKEN,
  appOf,
  startServer,
  type TestServer,
} from "../../../../tests/support/server.ts";
import { BACKENDS, type Backend } from "./testing/backends.ts";
import { FileClient, PNG } from "./testing/client.ts";

const HOUR_MS = 60 * 60 * 1000;
const MAX_BYTES = 8_000_000;

const Album = entity("Album", {
  ownerId: field.string(),
  isPublic: field.bool().default(false),
  cover: field.file({ accept: ["image/*"], maxBytes: 1000 }).optional(),
  notes: field.file({ accept: ["text/plain"] }).optional(),
});
const app = appOf(
  buildManifest({
    name: "albums",
    version: "1.0.0",
    entities: [Album],
    policies: [
      policy({
        name: "own",
        entity: "Album",
        allowRead: "data.isPublic == true || auth.userId == data.ownerId",
        allowInsert: "auth.userId == data.ownerId",
        allowUpdate: "auth.userId == old.ownerId",
        allowDelete: "auth.userId == data.ownerId",
      }),
    ],
  }),
);

describe.each(["local", "s3"] as const)("files in %s", (kind) => {
  let backend: Backend;
  let server: TestServer;
  let alice: FileClient;
  let bob: FileClient;
  let admin: FileClient;
  let nobody: FileClient;
  let later = 0;

  beforeAll(async () => {
    backend = await BACKENDS[kind]();
    const platform = {
      now: () => Date.now() + later,
      random: (bytes: Uint8Array) => void crypto.getRandomValues(bytes),
    };
    server = await startServer(
      app,
      { ...backend.env, PYLON_FILES_MAX_BYTES: String(MAX_BYTES) },
      platform,
    );
    alice = await FileClient.signIn(server.url);
    bob = await FileClient.signIn(server.url);
    admin = new FileClient(server.url, ADMIN_TOKEN);
    nobody = new FileClient(server.url, null);
  });
  afterAll(async () => {
    await server.stop();
    await backend.stop();
  });

  const maintainLater = async (ms: number): Promise<void> => {
    later = ms;
    try {
      await server.server.maintain();
    } finally {
      later = 0;
    }
  };

  describe("an upload", () => {
    test("returns the same bytes, with its type, name and checksum", async () => {
      const content = crypto.getRandomValues(new Uint8Array(65_000));
      const checksum = createHash("sha256").update(content).digest("hex");
      const { status, id, body } = await alice.upload(content, {
        "Content-Type": "image/jpeg",
        "X-Filename": "K%C3%A4se%20%F0%9F%A7%80.jpg",
        "X-Checksum-Sha256": checksum,
      });
      expect(status).toBe(201);
      expect(body).toEqual({
        id,
        url: `/api/files/${id}`,
        size: 65_000,
        name: "Käse 🧀.jpg",
        content_type: "image/jpeg",
        checksum,
      });
      const response = await alice.download(id);
      expect(response.status).toBe(200);
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(content);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "image/jpeg",
        "content-disposition":
          "inline; filename=\"K_se __.jpg\"; filename*=UTF-8''K%C3%A4se%20%F0%9F%A7%80.jpg",
        etag: `"${checksum}"`,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
      });
    });

    test("may be a form, whose first file is stored", async () => {
      const form = new FormData();
      form.append("title", "before");
      form.append("file", new Blob([PNG], { type: "image/png" }), "pixel.png");
      form.append("other", new Blob(["ignored".repeat(50_000)]), "other.txt");
      const { status, body, id } = await alice.upload(form);
      expect(status).toBe(201);
      expect(body).toMatchObject({
        name: "pixel.png",
        content_type: "image/png",
        size: PNG.length,
      });
      expect(new Uint8Array(await (await alice.download(id)).arrayBuffer())).toEqual(PNG);
    });

    test("may be a large form", async () => {
      const content = crypto.getRandomValues(new Uint8Array(60_000)).toBase64().repeat(90);
      const form = new FormData();
      form.append("file", new Blob([content]), "large.bin");
      const { status, id, body } = await alice.upload(form);
      expect({ status, size: body["size"] }).toEqual({ status: 201, size: content.length });
      expect(await (await alice.download(id)).text()).toBe(content);
    });

    test("may be empty", async () => {
      const { status, id, body } = await alice.upload("");
      expect({ status, size: body["size"] }).toEqual({ status: 201, size: 0 });
      const response = await alice.download(id);
      expect([response.status, await response.text()]).toEqual([200, ""]);
      expect((await alice.download(id, { Range: "bytes=0-" })).status).toBe(416);
    });

    test.each([
      [
        "no file",
        '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
      ],
      ["no boundary", "anything", "multipart/form-data"],
      [
        "no end",
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf of it',
        "multipart/form-data; boundary=x",
      ],
      ["no parts", "what is this", "multipart/form-data; boundary=x"],
    ])("of a form with %s is rejected and leaves nothing", async (_what, body, type) => {
      const before = await backend.count();
      expect(await alice.upload(body, { "Content-Type": type })).toMatchObject({
        status: 400,
        code: "INVALID_MULTIPART",
      });
      expect(await backend.count()).toBe(before);
    });

    test("requires a user", async () => {
      expect(await nobody.upload(PNG)).toMatchObject({ status: 401, code: "AUTH_REQUIRED" });
    });

    test("with another checksum is rejected and leaves nothing", async () => {
      const before = await backend.count();
      expect(await alice.upload(PNG, { "X-Checksum-Sha256": "0".repeat(64) })).toMatchObject({
        status: 400,
        code: "CHECKSUM_MISMATCH",
      });
      expect(await alice.upload(PNG, { "X-Checksum-Sha256": "abc" })).toMatchObject({
        status: 400,
        code: "INVALID_DATA",
      });
      expect(await backend.count()).toBe(before);
    });

    test("beyond the limit is rejected, announced or not, and leaves nothing", async () => {
      const before = await backend.count();
      const announced = await alice.upload(new Uint8Array(MAX_BYTES + 1));
      const streamed = await alice.upload(endless(MAX_BYTES + 1));
      const form = new FormData();
      form.append("file", new Blob([new Uint8Array(MAX_BYTES + 1)]), "x");
      for (const answer of [announced, streamed, await alice.upload(form)])
        expect(answer).toMatchObject({ status: 413, code: "PAYLOAD_TOO_LARGE" });
      expect((await alice.upload(endless(MAX_BYTES))).status).toBe(201);
      expect(await backend.count()).toBe(before + 1);
    });

    test("that the client aborts leaves nothing", async () => {
      const before = await backend.count();
      const { hostname, port } = new URL(server.url);
      for (const head of ["Content-Length: 6000000", "Transfer-Encoding: chunked"]) {
        const socket = connect(Number(port), hostname);
        socket.write(
          "POST /api/files/upload HTTP/1.1\r\nHost: x\r\n" +
            `Authorization: Bearer ${alice.token ?? ""}\r\n${head}\r\n\r\n`,
        );
        socket.write(head.startsWith("T") ? "4\r\nhalf\r\n" : "half");
        await Bun.sleep(200);
        socket.destroy();
      }
      await until(async () => (await backend.count()) === before);
    });
  });

  describe("a download", () => {
    const content = "0123456789";
    let id = "";
    beforeAll(async () => {
      id = (await alice.upload(content, { "Content-Type": "text/plain" })).id;
    });

    test.each([
      ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
      ["bytes=4-", 206, "456789", "bytes 4-9/10"],
      ["bytes=-3", 206, "789", "bytes 7-9/10"],
      ["bytes=-30", 206, content, "bytes 0-9/10"],
      ["bytes=9-99", 206, "9", "bytes 9-9/10"],
      ["bytes=3-2", 200, content, null],
      ["bytes=0-1,3-4", 200, content, null],
      ["lines=1-2", 200, content, null],
    ])("of the range %s", async (range, status, text, contentRange) => {
      const response = await alice.download(id, { Range: range });
      expect([
        response.status,
        await response.text(),
        response.headers.get("content-range"),
      ]).toEqual([status, text, contentRange]);
    });

    test("of a range after the end is rejected with the size", async () => {
      const response = await alice.download(id, { Range: "bytes=10-" });
      expect([response.status, response.headers.get("content-range")]).toEqual([416, "bytes */10"]);
    });

    test("is not sent again to a client that has it", async () => {
      const etag = (await alice.download(id)).headers.get("etag") ?? "";
      expect((await alice.download(id, { "If-None-Match": `"x", ${etag}` })).status).toBe(304);
      expect((await alice.download(id, { "If-None-Match": '"x"' })).status).toBe(200);
      expect((await alice.download(id, { Range: "bytes=0-3", "If-Range": etag })).status).toBe(206);
      expect((await alice.download(id, { Range: "bytes=0-3", "If-Range": '"x"' })).status).toBe(
        200,
      );
    });

    test("supports HEAD requests", async () => {
      const response = await alice.download(id, {}, "", "HEAD");
      expect([
        response.status,
        response.headers.get("content-length"),
        response.headers.get("content-type"),
      ]).toEqual([200, "10", "text/plain"]);
    });

    test("can be forced", async () => {
      expect(
        (await alice.download(id, {}, "?download=1")).headers.get("content-disposition"),
      ).toStartWith("attachment;");
    });

    test.each([
      "image/svg+xml",
      "text/html",
      "application/xhtml+xml",
      "text/javascript",
      "image/x+xml",
      "nonsense",
      "text/html; charset=utf-8",
    ])("of %s is served as bytes to download", async (type) => {
      const { id: active } = await alice.upload("<svg onload='alert(1)'/>", {
        "Content-Type": type,
      });
      const response = await alice.download(active);
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(response.headers.get("content-disposition")).toStartWith("attachment;");
    });

    test.each([
      "..%2f..%2fetc%2fpasswd",
      "..",
      "%2e%2e",
      "upload%00",
      "A".repeat(40),
      "0".repeat(40),
      "0".repeat(39),
      "x".repeat(5000),
    ])("of the id %s is 404", async (odd) => {
      expect([404, 405]).toContain((await alice.download(odd)).status);
    });
  });

  test("only the owner and the admin delete", async () => {
    const id = await alice.image();
    expect((await bob.request("DELETE", `/api/files/${id}`)).status).toBe(403);
    expect((await nobody.request("DELETE", `/api/files/${id}`)).status).toBe(401);
    expect((await alice.request("DELETE", `/api/files/${id}`)).body).toEqual({ deleted: true });
    expect((await alice.request("DELETE", `/api/files/${id}`)).status).toBe(404);
    expect(await alice.statusOf(id)).toBe(404);
    const other = await alice.image();
    expect((await admin.request("DELETE", `/api/files/${other}`)).status).toBe(200);
  });

  describe("reading", () => {
    test("a plain upload requires a user who knows its id", async () => {
      const id = await alice.image();
      expect(
        await Promise.all([alice, bob, admin, nobody].map((client) => client.statusOf(id))),
      ).toEqual([200, 200, 200, 404]);
    });

    test("an upload for a field requires its owner, until it is in a row", async () => {
      const id = await alice.image("?entity=Album&field=cover");
      expect(
        await Promise.all([alice, bob, admin, nobody].map((client) => client.statusOf(id))),
      ).toEqual([200, 404, 200, 404]);
    });

    test("a file in a row is read by those who may read the row at that moment", async () => {
      const cover = await alice.image("?entity=Album&field=cover");
      const album = await alice.insert("Album", { ownerId: alice.userId, cover });
      const readers = (): Promise<number[]> =>
        Promise.all([alice, bob, admin, nobody].map((client) => client.statusOf(cover)));
      expect(await readers()).toEqual([200, 404, 200, 404]);
      await alice.request("PATCH", `/api/entities/Album/${album}`, { isPublic: true });
      expect(await readers()).toEqual([200, 200, 200, 200]);
      expect((await bob.request("DELETE", `/api/files/${cover}`)).status).toBe(403);
      await alice.request("PATCH", `/api/entities/Album/${album}`, { isPublic: false });
      expect(await readers()).toEqual([200, 404, 200, 404]);
      expect((await bob.download(cover, { "If-None-Match": "*" })).status).toBe(404);
    });

    test("an unreadable file is reported as one that does not exist", async () => {
      const hidden = await alice.image("?entity=Album&field=cover");
      const [there, missing] = await Promise.all([
        bob.request("GET", `/api/files/${hidden}`),
        bob.request("GET", `/api/files/${"0".repeat(40)}`),
      ]);
      const strip = (text: string): string => text.replace(/"request_id":"[^"]*"/, "");
      expect([there.status, strip(there.text)]).toEqual([missing.status, strip(missing.text)]);
      expect((await bob.request("DELETE", `/api/files/${hidden}`)).status).toBe(404);
      expect((await bob.request("POST", `/api/files/${hidden}/complete`)).status).toBe(404);
    });
  });

  describe("a file field", () => {
    test("applies its rules to its uploads", async () => {
      const query = "?entity=Album&field=cover";
      expect(await alice.upload("text", { "Content-Type": "text/plain" }, query)).toMatchObject({
        status: 400,
        code: "INVALID_DATA",
        field: "cover",
      });
      expect(
        await alice.upload(new Uint8Array(1001), { "Content-Type": "image/png" }, query),
      ).toMatchObject({ status: 413 });
      expect(
        await alice.upload(endless(1001), { "Content-Type": "image/png" }, query),
      ).toMatchObject({ status: 413 });
      expect(await alice.upload(PNG, {}, "?entity=Nothing&field=cover")).toMatchObject({
        status: 404,
        code: "ENTITY_NOT_FOUND",
      });
      expect(await alice.upload(PNG, {}, "?entity=Album&field=ownerId")).toMatchObject({
        status: 400,
        code: "INVALID_COLUMN",
      });
      expect(await alice.upload(PNG, {}, "?entity=Album")).toMatchObject({
        status: 400,
        code: "MISSING_FIELD",
      });
    });

    test("accepts only a finished, unlinked file of the writer that meets its rules", async () => {
      const insert = (cover: unknown, client = alice): Promise<unknown> =>
        client
          .request("POST", "/api/entities/Album", { ownerId: client.userId, cover })
          .then(({ status, body }) => ({
            status,
            field: (body["error"] as { field?: string } | undefined)?.field,
          }));
      const refused = { status: 400, field: "cover" };
      const text = await alice.upload("text", { "Content-Type": "text/plain" });
      const large = await alice.upload(new Uint8Array(1001), { "Content-Type": "image/png" });
      const pending = await alice.request("POST", "/api/files/presign", {
        name: "a.png",
        content_type: "image/png",
        size: 10,
      });
      const bobs = await bob.image();
      for (const id of ["0".repeat(40), "../x", text.id, large.id, pending.body["id"], bobs])
        expect(await insert(id)).toEqual(refused);
      const cover = await alice.image();
      expect(await insert(cover)).toEqual({ status: 201, field: undefined });
      expect(await insert(cover)).toEqual(refused);
      expect(
        await alice.request("POST", "/api/entities/Album", {
          ownerId: alice.userId,
          cover: text.id,
          notes: text.id,
        }),
      ).toMatchObject({ status: 400 });
    });

    test("that is not written because the row is rejected links nothing", async () => {
      const cover = await alice.image();
      expect(
        (await alice.request("POST", "/api/entities/Album", { ownerId: bob.userId, cover })).status,
      ).toBe(403);
      const album = await alice.insert("Album", { ownerId: alice.userId, cover });
      const second = await alice.image();
      expect(
        (
          await alice.request("POST", "/api/entities/Album", {
            id: album,
            ownerId: alice.userId,
            cover: second,
          })
        ).status,
      ).toBe(409);
      await alice.insert("Album", { ownerId: alice.userId, cover: second });
    });

    test("prevents its file from being deleted, and releases it with the row", async () => {
      const cover = await alice.image();
      const album = await alice.insert("Album", { ownerId: alice.userId, cover });
      expect((await alice.request("DELETE", `/api/files/${cover}`)).status).toBe(409);
      await alice.request("PATCH", `/api/entities/Album/${album}`, { isPublic: true });
      expect(await nobody.statusOf(cover)).toBe(200);
      await alice.request("PATCH", `/api/entities/Album/${album}`, { cover: null });
      expect([
        await alice.statusOf(cover),
        await bob.statusOf(cover),
        await nobody.statusOf(cover),
      ]).toEqual([200, 404, 404]);
      await alice.request("PATCH", `/api/entities/Album/${album}`, { cover });
      expect(await nobody.statusOf(cover)).toBe(200);
      await alice.request("DELETE", `/api/entities/Album/${album}`);
      expect([await alice.statusOf(cover), await nobody.statusOf(cover)]).toEqual([200, 404]);
    });

    test("accepts any user's file from the admin", async () => {
      const cover = await alice.image();
      expect(
        (await admin.request("POST", "/api/entities/Album", { ownerId: bob.userId, cover })).status,
      ).toBe(201);
      expect([await bob.statusOf(cover), await nobody.statusOf(cover)]).toEqual([200, 404]);
    });
  });

  test("the maintenance deletes unneeded files after a day", async () => {
    await maintainLater(25 * HOUR_MS);
    const before = await backend.count();
    const plain = await alice.image();
    const kept = await alice.image("?entity=Album&field=cover");
    await alice.insert("Album", { ownerId: alice.userId, cover: kept });
    const abandoned = await alice.image("?entity=Album&field=cover");
    const orphan = await alice.image();
    const album = await alice.insert("Album", { ownerId: alice.userId, cover: orphan });
    await alice.request("DELETE", `/api/entities/Album/${album}`);
    const pending = await alice.request("POST", "/api/files/presign", {
      name: "a",
      content_type: "image/png",
      size: PNG.length,
    });
    await send(pending.body, PNG);
    expect(await backend.count()).toBe(before + 5);
    await maintainLater(23 * HOUR_MS);
    expect(await backend.count()).toBe(before + 5);
    await Promise.all([maintainLater(25 * HOUR_MS), maintainLater(25 * HOUR_MS)]);
    expect(await backend.count()).toBe(before + 2);
    expect(
      await Promise.all([plain, kept, abandoned, orphan].map((id) => alice.statusOf(id))),
    ).toEqual([200, 200, 404, 404]);
    expect(
      (await alice.request("POST", `/api/files/${String(pending.body["id"])}/complete`)).status,
    ).toBe(404);
  });

  describe("a presigned upload", () => {
    const upload = { name: "pixel.png", content_type: "image/png", size: PNG.length };

    test("is announced, sent to the target in the response, and completed", async () => {
      const { status, body } = await alice.request("POST", "/api/files/presign", {
        ...upload,
        entity: "Album",
        field: "cover",
      });
      expect(status).toBe(201);
      const id = String(body["id"]);
      expect(await alice.statusOf(id)).toBe(404);
      expect((await alice.request("POST", `/api/files/${id}/complete`)).status).toBe(409);
      expect(await send(body, PNG)).toBeLessThan(300);
      expect(await alice.statusOf(id)).toBe(404);
      expect((await bob.request("POST", `/api/files/${id}/complete`)).status).toBe(404);
      expect((await alice.request("POST", `/api/files/${id}/complete`)).body).toMatchObject({
        id,
        size: PNG.length,
        content_type: "image/png",
      });
      expect((await alice.request("POST", `/api/files/${id}/complete`)).status).toBe(200);
      expect(new Uint8Array(await (await alice.download(id)).arrayBuffer())).toEqual(PNG);
      await alice.insert("Album", { ownerId: alice.userId, cover: id });
    });

    test("that is sent after its file was deleted does not stay", async () => {
      const before = await backend.count();
      const { body } = await alice.request("POST", "/api/files/presign", upload);
      const id = String(body["id"]);
      expect((await alice.request("DELETE", `/api/files/${id}`)).status).toBe(200);
      expect((await alice.request("DELETE", `/api/files/${id}`)).status).toBe(404);
      // A URL that S3 has signed can't be revoked.
      expect(await send(body, PNG)).toBe(kind === "s3" ? 200 : 403);
      expect(await alice.statusOf(id)).toBe(404);
      expect((await alice.request("POST", `/api/files/${id}/complete`)).status).toBe(404);
      await maintainLater(25 * HOUR_MS);
      expect(await backend.count()).toBe(before);
    });

    test("of another size does not become a file", async () => {
      const { body } = await alice.request("POST", "/api/files/presign", upload);
      const id = String(body["id"]);
      await send(body, new Uint8Array(PNG.length + 5));
      expect([400, 409]).toContain(
        (await alice.request("POST", `/api/files/${id}/complete`)).status,
      );
      expect(await alice.statusOf(id)).toBe(404);
    });

    test.each([
      [{ size: MAX_BYTES + 1 }, 413],
      [{ size: -1 }, 400],
      [{ size: 1.5 }, 400],
      [{ size: undefined }, 400],
      [{ name: 5 }, 400],
      [{ checksum: "x" }, 400],
      [{ entity: "Album", field: "cover", content_type: "text/plain" }, 400],
      [{ entity: "Album", field: "cover", size: 1001 }, 413],
      [{ parts: 0 }, 400],
    ])("that requests %j is rejected", async (change, status) => {
      expect(
        (await alice.request("POST", "/api/files/presign", { ...upload, ...change })).status,
      ).toBe(status);
    });

    test("requires a user", async () => {
      expect((await nobody.request("POST", "/api/files/presign", upload)).status).toBe(401);
    });
  });
});

/** A stream of zeros without a Content-Length. */
function endless(size: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      const chunk = new Uint8Array(Math.min(100_000, size - sent));
      sent += chunk.length;
      controller.enqueue(chunk);
      if (sent === size) controller.close();
    },
  });
}

/** Sends content to the target of a presigned upload. @returns the status */
async function send(
  presigned: Readonly<Record<string, unknown>>,
  content: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const { method, url, headers } = presigned["upload"] as {
    method: string;
    url: string;
    headers: Record<string, string>;
  };
  return (await fetch(url, { method, headers, body: content })).status;
}
