import { parseAnswer, PylonClientError, readAnswer } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "./client.ts";
import type { RequestAs } from "./rest.ts";

/** A file that the server has stored. */
export interface UploadedFile {
  readonly id: string;
  /** The URL of its content. */
  readonly url: string;
  /** In bytes. */
  readonly size: number;
}

/** Metadata, credentials and cancellation of an upload. */
export interface UploadOptions extends RequestAs {
  /** The file name; default: that of the file, or `upload`. */
  readonly filename?: string | undefined;
  /** The media type; default: that of the file. */
  readonly contentType?: string | undefined;
  /** Cancels the upload. */
  readonly signal?: AbortSignal | undefined;
}

/** The types of content that can be uploaded. */
export type UploadContent = File | Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;

/** The server's response to an upload. */
export const UploadedSchema = v.object({ id: v.string(), url: v.string(), size: v.number() });

/**
 * Uploads a file as the body of a request.
 *
 * @throws PylonClientError, such as PAYLOAD_TOO_LARGE or UNREACHABLE
 *
 * @example
 * const file = new File(["Buy milk"], "list.txt", { type: "text/plain" });
 * const { id, url } = await uploadFile(file);
 */
export function uploadFile(
  content: UploadContent,
  options: UploadOptions = {},
): Promise<UploadedFile> {
  const blob = blobOf(content, options);
  return send(blob, options, {
    "Content-Type": blob.type || "application/octet-stream",
    "X-Filename": encodeURIComponent(nameOf(content, options)),
  });
}

/**
 * Uploads a file as the field `file` of a form.
 *
 * @throws PylonClientError
 *
 * @example
 * const { url } = await uploadFileMultipart(new Blob(["Buy milk"]), { filename: "list.txt" });
 */
export function uploadFileMultipart(
  content: UploadContent,
  options: UploadOptions = {},
): Promise<UploadedFile> {
  const form = new FormData();
  form.set("file", blobOf(content, options), nameOf(content, options));
  return send(form, options, {});
}

async function send(
  body: Blob | FormData,
  { token, sync = getEngine(), signal }: UploadOptions,
  headers: Readonly<Record<string, string>>,
): Promise<UploadedFile> {
  const bearer = token === undefined ? sync.session.token : token;
  const path = "/api/files/upload";
  const named = token === undefined ? sync.session.named(path) : path;
  const url = `${sync.baseUrl.replace(/\/$/, "")}${named}`;
  const init: RequestInit = {
    method: "POST",
    body,
    headers: { ...headers, ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }) },
    ...(signal === undefined ? {} : { signal }),
  };
  const [response, text] = await sync.platform
    .fetch(url, init)
    .then(async (answer) => [answer, await answer.text()] as const)
    .catch((cause: unknown) => {
      throw PylonClientError.ofClient("UNREACHABLE", "The server can't be reached.", cause);
    });
  try {
    return parseAnswer(UploadedSchema, readAnswer(response, text));
  } catch (error) {
    sync.session.refreshAfter(error);
    throw error;
  }
}

function blobOf(content: UploadContent, { contentType }: UploadOptions): Blob {
  const type = contentType ?? (content instanceof Blob ? content.type : "");
  return content instanceof Blob && content.type === type ? content : new Blob([content], { type });
}

function nameOf(content: UploadContent, { filename }: UploadOptions): string {
  return filename ?? (content instanceof File ? content.name : "upload");
}
