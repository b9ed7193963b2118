import { LoroDoc, LoroText, type VersionVector } from "loro-crdt";
import { until, type Answer, type TestClient } from "./client.ts";

/** A frame as an older client decodes it. */
export interface ReceivedFrame {
  readonly type: number;
  readonly entity: string;
  readonly rowId: string;
  readonly bytes: Uint8Array;
}

export function decodeFrame(frame: Uint8Array): ReceivedFrame {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const names: string[] = [];
  let at = 1;
  for (let count = 0; count < 2; count += 1) {
    const length = view.getUint16(at);
    names.push(new TextDecoder().decode(frame.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  const [entity = "", rowId = ""] = names;
  return { type: view.getUint8(0), entity, rowId, bytes: frame.slice(at) };
}

/** A socket that records the binary messages that it receives. */
export class DocumentSocket {
  readonly socket: WebSocket;
  readonly frames: ReceivedFrame[] = [];
  readonly texts: string[] = [];
  onFrame: (frame: ReceivedFrame) => void = () => undefined;
  onText: (text: string) => void = () => undefined;

  constructor({ url, token }: TestClient) {
    const protocols = token === null ? [] : [`bearer.${encodeURIComponent(token)}`];
    this.socket = new WebSocket(`${url.replace("http", "ws")}/ws`, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") {
        this.texts.push(data);
        this.onText(data);
        return;
      }
      const frame = decodeFrame(new Uint8Array(data));
      this.frames.push(frame);
      this.onFrame(frame);
    };
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN);
    return this;
  }

  say(message: Readonly<Record<string, unknown>>): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(entity: string, rowId: string): void {
    this.say({ type: "crdt-subscribe", entity, rowId });
  }

  async heard(count: number): Promise<readonly ReceivedFrame[]> {
    await until(() => this.frames.length >= count);
    return this.frames;
  }

  close(): void {
    this.socket.close();
  }
}

/** Someone who edits the texts of one row: a document, and what of it the server has. */
export class Editor {
  readonly client: TestClient;
  readonly socket: DocumentSocket;
  readonly entity: string;
  readonly rowId: string;
  document = new LoroDoc();
  #sent: VersionVector | undefined;
  /** What it has not received while it was offline; null while it is online. */
  #missed: Uint8Array[] | null = null;

  constructor(client: TestClient, entity: string, rowId: string) {
    this.client = client;
    this.entity = entity;
    this.rowId = rowId;
    this.socket = new DocumentSocket(client);
    this.socket.onFrame = (frame) => {
      if (frame.rowId !== rowId) return;
      if (this.#missed === null) this.document.import(frame.bytes);
      else this.#missed.push(frame.bytes);
    };
  }

  /** Opens the document of a row. Updates may follow the snapshot that it begins with. */
  static async open(client: TestClient, entity: string, rowId: string): Promise<Editor> {
    const editor = new Editor(client, entity, rowId);
    await editor.socket.opened();
    editor.socket.subscribe(entity, rowId);
    await editor.socket.heard(1);
    editor.#sent = editor.document.version();
    return editor;
  }

  field(name: string): LoroText {
    const text = this.document.getMap("row").get(name);
    if (text instanceof LoroText) return text;
    throw new Error(`The document has no text ${name}.`);
  }

  text(name: string): string {
    return this.field(name).toString();
  }

  /** The changes since the last push. */
  changes(): Uint8Array {
    this.document.commit();
    return this.document.export({
      mode: "update",
      ...(this.#sent === undefined ? {} : { from: this.#sent }),
    });
  }

  async push(update: Uint8Array = this.changes()): Promise<Answer> {
    const version = this.document.version();
    const answer = await pushUpdate(this.client, this.entity, this.rowId, update);
    if (answer.status === 200) this.#sent = version;
    return answer;
  }

  get isOnline(): boolean {
    return this.#missed === null;
  }

  goOffline(): void {
    this.#missed ??= [];
  }

  goOnline(): void {
    const missed = this.#missed ?? [];
    this.#missed = null;
    for (const bytes of missed) this.document.import(bytes);
  }

  /** Waits until the document contains this text. */
  async shows(name: string, text: string): Promise<void> {
    await until(() => this.document.getMap("row").toJSON()[name] === text);
  }

  close(): void {
    this.socket.close();
  }
}

export function pushUpdate(
  client: TestClient,
  entity: string,
  rowId: string,
  update: Uint8Array,
): Promise<Answer> {
  return client.request("POST", `/api/crdt/${entity}/${rowId}`, { update: update.toHex() });
}

/** Checks that a server with an entity `Note` of a `text` merges an edit of it. */
export async function checkMerge(client: TestClient): Promise<void> {
  const editor = await Editor.open(client, "Note", await client.insert("Note", { text: "one" }));
  editor.field("text").insert(3, " two");
  const { status, text } = await editor.push();
  editor.close();
  if (status !== 200) throw new Error(`The edit was answered with ${status}: ${text}`);
}
