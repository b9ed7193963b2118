import { TestClient } from "../../../../../tests/support/client.ts";
import { ADMIN_TOKEN } from "../../../../../tests/support/server.ts";

/** The response to an upload. */
export interface Uploaded {
  readonly status: number;
  readonly id: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The code of an error. */
  readonly code: string | undefined;
  readonly field: string | undefined;
}

/** A user with files. */
export class FileClient extends TestClient {
  /** Not a guest, because the uploads of guests are limited. */
  static async signIn(url: string): Promise<FileClient> {
    const userId = crypto.randomUUID();
    const admin = new TestClient(url, ADMIN_TOKEN);
    const { body } = await admin.request("POST", "/api/auth/session", { user_id: userId });
    return new FileClient(url, body["token"] as string, userId);
  }

  static async signInGuest(url: string): Promise<FileClient> {
    const { token, userId } = await TestClient.guest(url);
    return new FileClient(url, token, userId);
  }

  get authorization(): Readonly<Record<string, string>> {
    return this.token === null ? {} : { Authorization: `Bearer ${this.token}` };
  }

  async upload(
    content: BodyInit,
    headers: Readonly<Record<string, string>> = {},
    query = "",
  ): Promise<Uploaded> {
    const response = await fetch(`${this.url}/api/files/upload${query}`, {
      method: "POST",
      headers: { ...this.authorization, ...headers },
      body: content,
    });
    return toUploaded(
      response.status,
      (await response.json()) as Readonly<Record<string, unknown>>,
    );
  }

  /** @returns the id of an uploaded image */
  async image(query = ""): Promise<string> {
    const { status, id, code } = await this.upload(
      PNG,
      { "Content-Type": "image/png", "X-Filename": "pixel.png" },
      query,
    );
    if (status !== 201) throw new Error(`The upload was answered ${status} ${code ?? ""}.`);
    return id;
  }

  download(
    id: string,
    headers: Readonly<Record<string, string>> = {},
    query = "",
    method = "GET",
  ): Promise<Response> {
    return fetch(`${this.url}/api/files/${id}${query}`, {
      method,
      headers: { ...this.authorization, ...headers },
      redirect: "manual",
    });
  }

  async statusOf(id: string): Promise<number> {
    const response = await this.download(id);
    await response.arrayBuffer();
    return response.status;
  }
}

/** The beginning of a PNG, with bytes that are not UTF-8. */
export const PNG = new Uint8Array([
  0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 255, 254, 0xc3, 0x28,
]);

function toUploaded(status: number, body: Readonly<Record<string, unknown>>): Uploaded {
  const error = body["error"] as { code?: string; field?: string } | undefined;
  return { status, id: String(body["id"]), body, code: error?.code, field: error?.field };
}
