import type { Caller } from "../caller.ts";
import type { Family } from "../check.ts";
import { expectShape, isFields, matching, text, type Fields } from "../shape.ts";

const CONTENT = "hello, file";

/** Uploads and downloads. */
export const files: Family = {
  "an upload is answered with what was stored": async ({ ann }) => {
    await upload(ann, "/api/files/upload");
  },
  "a form is taken by its first file": async ({ ann }) => {
    const form = new FormData();
    form.append("file", new File([CONTENT], "käse.txt", { type: "text/plain" }));
    await ann.expect(["POST", "/api/files/upload", form], 201, { id: text, name: "käse.txt" });
  },
  "an uploaded file is downloaded, whole and in part": async ({ ann }) => {
    const path = `/api/files/${await upload(ann, "/api/files/upload")}`;
    const whole = await ann.request("GET", path);
    expectShape(
      { status: whole.status, text: whole.text, type: whole.headers.get("Content-Type") },
      { status: 200, text: CONTENT, type: matching(/^text\/plain/) },
    );
    const part = await ann.request("GET", path, undefined, { Range: "bytes=7-10" });
    expectShape({ status: part.status, text: part.text }, { status: 206, text: "file" });
    expectShape(part.headers.get("Content-Range"), `bytes 7-10/${CONTENT.length}`);
  },
  "an ETag saves a download": async ({ ann }) => {
    const path = `/api/files/${await upload(ann, "/api/files/upload")}`;
    const etag = (await ann.request("GET", path)).headers.get("ETag") ?? "";
    const again = await ann.request("GET", path, undefined, { "If-None-Match": etag });
    expectShape({ status: again.status, text: again.text }, { status: 304, text: "" });
  },
  "a range beyond the end is refused with 416": async ({ ann }) => {
    const path = `/api/files/${await upload(ann, "/api/files/upload")}`;
    const { status } = await ann.request("GET", path, undefined, { Range: "bytes=900-" });
    expectShape(status, 416);
  },
  "a file in a row is read by those who may read the row": async ({ ann, bob, nobody }) => {
    const photo = await upload(ann, "/api/files/upload?entity=Task&field=photo");
    const file = `/api/files/${photo}`;
    await bob.refused(["GET", file], 404, { code: "FILE_NOT_FOUND" });
    const id = await ann.insert("Task", { title: "with a photo", photo, shared: true });
    expectShape((await nobody.request("GET", file)).text, CONTENT);
    await ann.expect(["PATCH", `/api/entities/Task/${id}`, { shared: false }], 200);
    await nobody.refused(["GET", file], 404, { code: "FILE_NOT_FOUND" });
    await ann.refused(["DELETE", file], 409, { code: "CONFLICT" });
  },
  "another's file can't be put into a row": async ({ ann, bob }) => {
    const photo = await upload(ann, "/api/files/upload?entity=Task&field=photo");
    await bob.refused(["POST", "/api/entities/Task", { title: "stolen", photo }], 400, {
      code: "INVALID_DATA",
      field: "photo",
    });
  },
  "the owner alone deletes a file": async ({ ann, bob }) => {
    const path = `/api/files/${await upload(ann, "/api/files/upload")}`;
    const { status } = await bob.request("DELETE", path);
    expectShape(status, 403);
    await ann.expect(["DELETE", path], 200, { deleted: true });
    await ann.refused(["GET", path], 404, { code: "FILE_NOT_FOUND" });
  },
  "a file may be announced, sent and completed": async ({ ann }) => {
    const announced = await ann.expect(
      ["POST", "/api/files/presign", { name: "a.txt", content_type: "text/plain", size: 11 }],
      201,
      { upload: { method: text, url: text }, complete_url: text },
    );
    await send(ann, announced["upload"]);
    const { id } = await ann.expect(["POST", String(announced["complete_url"]), {}], 200, {
      id: text,
      name: "a.txt",
      size: 11,
    });
    expectShape((await ann.request("GET", `/api/files/${String(id)}`)).text, CONTENT);
  },
  "content that is not what its checksum says is refused": async ({ ann }) => {
    const headers = { ...HEADERS, "X-Checksum-Sha256": "0".repeat(64) };
    await ann.refused(["POST", "/api/files/upload", CONTENT, headers], 400, {
      code: "CHECKSUM_MISMATCH",
    });
  },
  "nobody uploads without a session": async ({ nobody }) => {
    await nobody.refused(["POST", "/api/files/upload", CONTENT, HEADERS], 401, {
      code: "AUTH_REQUIRED",
    });
  },
};

const HEADERS = { "Content-Type": "text/plain", "X-Filename": "hello.txt" };

/** @returns the file's id */
async function upload(caller: Caller, path: string): Promise<string> {
  const { id } = await caller.expect(["POST", path, CONTENT, HEADERS], 201, {
    id: text,
    url: text,
    name: "hello.txt",
    size: CONTENT.length,
    content_type: matching(/^text\/plain/),
    checksum: matching(/^[0-9a-f]{64}$/),
  });
  return String(id);
}

/** Sends the content to the target that the server names, which may be another server. */
async function send(caller: Caller, target: unknown): Promise<void> {
  const { url, method, headers }: Fields = isFields(target) ? target : {};
  const response = await fetch(new URL(String(url), caller.url), {
    method: String(method),
    headers: Object.entries(isFields(headers) ? headers : {}).map(([name, value]) => [
      name,
      String(value),
    ]),
    body: CONTENT,
  });
  expectShape(response.ok, true);
}
