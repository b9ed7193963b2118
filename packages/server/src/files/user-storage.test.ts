import { mutation, action, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { TestClient, until } from "../../../../tests/support/client.ts";
import { appOf, startServer, type TestServer } from "../../../../tests/support/server.ts";

const LIMIT = 1000;
const FULL = [413, "STORAGE_QUOTA_REACHED"];

const manifest = buildManifest({
  name: "storage",
  version: "1.0.0",
  access: "public",
  entities: [entity("Note", { file: field.file().optional() })],
});
const app = appOf(manifest, {
  write: action({
    args: { bytes: v.int() },
    handler: (ctx, { bytes }) => ctx.storage.write("x".repeat(bytes)),
  }),
  keep: mutation({
    args: { file: v.string() },
    handler: (ctx, { file }) => ctx.db.insert("Note", { file }),
  }),
});

let server: TestServer;
beforeAll(async () => {
  server = await startServer(app, { PYLON_FILES_USER_BYTES: String(LIMIT) });
});
afterAll(() => server.stop());

type Asked = Awaited<ReturnType<TestClient["request"]>>;

interface RunningUpload {
  /** Sends the rest of the body. @returns the response */
  finish(rest: string): Promise<string>;
  abort(): void;
}

class Uploader {
  readonly #client: TestClient;

  constructor(client: TestClient) {
    this.#client = client;
  }

  upload(bytes: number): Promise<Asked> {
    return this.request("POST", "/api/files/upload", "x".repeat(bytes), {
      "Content-Type": "text/plain",
    });
  }

  presign(size: number): Promise<Asked> {
    return this.request("POST", "/api/files/presign", {
      ...{ name: "a.txt", content_type: "text/plain", size },
    });
  }

  /** Announces a resumable upload. */
  resumable(size: number): Promise<Asked> {
    return this.request("POST", "/api/files/tus", undefined, {
      ...{ "Tus-Resumable": "1.0.0", "Upload-Length": String(size) },
    });
  }

  /** Sends the head and the first part of the body of an upload. */
  begin(header: string, part: string): RunningUpload {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const head = [
      "POST /api/files/upload HTTP/1.1",
      `Host: ${hostname}:${port}`,
      `Authorization: Bearer ${String(this.#client.token)}`,
      "Content-Type: text/plain",
      header,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n${part}`);
    return {
      finish: async (rest) => {
        const answer = new Promise<string>((resolve, reject) => {
          socket.once("data", (data) => resolve(data.toString()));
          socket.once("error", reject);
        });
        socket.write(rest);
        return answer.finally(() => socket.destroy());
      },
      abort: () => void socket.destroy(),
    };
  }

  /** The sizes of all its files, including those being received. */
  async sizes(): Promise<number[]> {
    const { body } = await this.request("GET", "/api/auth/account/export");
    return (body["files"] as { readonly size: number }[]).map(({ size }) => size);
  }

  call(name: string, args: object): Promise<Asked> {
    return this.request("POST", `/api/fn/${name}`, args);
  }

  request(...args: Parameters<TestClient["request"]>): Promise<Asked> {
    return this.#client.request(...args);
  }
}

async function newUploader(): Promise<Uploader> {
  return new Uploader(await TestClient.guest(server.url));
}

function outcome({ status, body }: Asked): unknown {
  const error: object = Object(body["error"]);
  return "code" in error ? [status, error.code] : status;
}

test("all ways to store a file count against the limit of its owner", async () => {
  const ann = await newUploader();
  expect(outcome(await ann.upload(400))).toBe(201);
  expect(outcome(await ann.presign(300))).toBe(201);
  expect(outcome(await ann.resumable(200))).toBe(201);
  expect(outcome(await ann.upload(101))).toEqual(FULL);
  expect(outcome(await ann.presign(101))).toEqual(FULL);
  expect(outcome(await ann.resumable(101))).toEqual(FULL);
  expect(outcome(await ann.call("write", { bytes: 101 }))).toEqual(FULL);
  expect(outcome(await ann.upload(100))).toBe(201);
  const refused = await ann.upload(1);
  expect(refused.body["error"]).toMatchObject({
    message: "The files of a user may have at most 1000 bytes together.",
    hint: "Delete files that are no longer needed.",
  });
  expect(outcome(await (await newUploader()).upload(LIMIT))).toBe(201);
});

test("files in rows count, and a deleted file or upload makes room", async () => {
  const ann = await newUploader();
  const { body } = await ann.upload(700);
  expect(outcome(await ann.call("keep", { file: body["id"] }))).toBe(200);
  expect(outcome(await ann.upload(301))).toEqual(FULL);
  const announced = await ann.presign(300);
  expect(outcome(await ann.upload(1))).toEqual(FULL);
  await ann.request("DELETE", `/api/files/${String(announced.body["id"])}`);
  expect(outcome(await ann.upload(300))).toBe(201);
});

test("concurrent uploads can't exceed the limit together", async () => {
  const ann = await newUploader();
  const ways = [ann.upload, ann.presign, ann.resumable].map((way) => way.bind(ann));
  const answers = await Promise.all([...ways, ...ways, ...ways].map((way) => way(300)));
  const stored = answers.filter(({ status }) => status === 201).length;
  expect(stored).toBeGreaterThan(0);
  expect(stored).toBeLessThanOrEqual(3);
  expect(outcome(await ann.upload(LIMIT - stored * 300))).toBe(201);
  expect(outcome(await ann.upload(1))).toEqual(FULL);
});

test.each([
  ["Content-Length: 600", "x".repeat(600), 600],
  ["Transfer-Encoding: chunked", `258\r\n${"x".repeat(600)}\r\n0\r\n\r\n`, LIMIT],
])("while a body with %s is received, its room is reserved", async (header, body, reserved) => {
  const ann = await newUploader();
  const running = ann.begin(header, body.slice(0, 300));
  await until(async () => (await ann.sizes()).includes(reserved));
  expect(outcome(await ann.upload(LIMIT - reserved + 1))).toEqual(FULL);
  expect(await running.finish(body.slice(300))).toStartWith("HTTP/1.1 201");
  expect(outcome(await ann.upload(400))).toBe(201);
  expect(outcome(await ann.upload(1))).toEqual(FULL);
});

test("an upload that is cut off gives back its room", async () => {
  const ann = await newUploader();
  const running = ann.begin("Content-Length: 600", "x");
  await until(async () => (await ann.sizes()).includes(600));
  running.abort();
  await until(async () => (await ann.sizes()).length === 0);
  expect(outcome(await ann.upload(LIMIT))).toBe(201);
});
