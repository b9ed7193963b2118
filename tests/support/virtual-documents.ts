import { LoroDoc, LoroText } from "loro-crdt";
import { CRDT_FRAME_SNAPSHOT, CRDT_FRAME_UPDATE, encodeCrdtFrame } from "@pylonsync/protocol";
import { refusal, type VirtualMachine } from "./virtual-machine.ts";

interface ServerDocument {
  document: LoroDoc;
  /** The document as it was created, and the updates since. */
  readonly parts: Uint8Array[];
  readonly readers: Set<(bytes: Uint8Array) => void>;
}

/** The documents of the server of a virtual machine. */
export class VirtualDocuments {
  readonly #rows = new Map<string, ServerDocument>();
  /** The texts of the updates that the server received, as of after each of them. */
  readonly pushes: { readonly name: string; readonly text: string; readonly bytes: number }[] = [];
  /** The error with which the server responds to an update, instead of importing it. */
  refusal: Response | null = null;
  /** The maximum length of all texts of a document. */
  maxLength = Infinity;
  /** A proxy rejects larger requests. */
  maxRequestBytes = Infinity;
  /** The next update is merged, and neither its response nor its frame arrives. */
  losesNext = false;
  /** The number of requests that have read a document. */
  reads = 0;
  /** Whether frames reach the readers. */
  sendsFrames = true;
  /**
   * The time between the snapshot, the updates after it and the end, with which a document is sent
   * then, in milliseconds; null: it is sent as one snapshot.
   */
  pauseOfParts: number | null = null;
  /** Whether the server tells when a document was sent as a whole, if it is asked to. */
  tellsReady = true;
  readonly #machine: VirtualMachine;

  constructor(machine: VirtualMachine) {
    const { intercept } = machine;
    this.#machine = machine;
    machine.intercept = (path, body) => this.#push(path, body) ?? intercept(path, body);
    machine.onMessage = (text, send, sendText) => this.#receive(text, send, sendText);
  }

  /** Creates the document of a row; an existing one is replaced by one with another history. */
  create(name: string, fields: Readonly<Record<string, string>>): void {
    const document = new LoroDoc();
    for (const [field, value] of Object.entries(fields))
      document.getMap("row").setContainer(field, new LoroText()).insert(0, value);
    document.commit();
    const readers = this.#rows.get(name)?.readers ?? new Set();
    const parts = [document.export({ mode: "snapshot" })];
    this.#rows.set(name, { document, parts, readers });
    for (const send of readers) this.#send(name, send);
  }

  text(name: string, field = "body"): string {
    return textIn(this.#row(name).document, field).toString();
  }

  /** Changes a text as another client does. */
  edit(name: string, work: (text: LoroText) => void, field = "body"): void {
    const { document } = this.#row(name);
    const before = document.oplogVersion();
    work(textIn(document, field));
    document.commit();
    this.#tell(name, document.export({ mode: "update", from: before }));
  }

  /** Continues with the texts of now, without what led to them. */
  dropHistory(name: string): void {
    const row = this.#row(name);
    const document = new LoroDoc();
    const frontiers = row.document.oplogFrontiers();
    document.import(row.document.export({ mode: "shallow-snapshot", frontiers }));
    row.document = document;
  }

  snapshot(name: string): Uint8Array {
    return this.#row(name).document.export({ mode: "snapshot" });
  }

  /** Sends any bytes as a snapshot. */
  sendBytes(name: string, payload: Uint8Array): void {
    const frame = frameOf(name, CRDT_FRAME_SNAPSHOT, payload);
    for (const send of this.#row(name).readers) send(frame);
  }

  #receive(
    message: string,
    send: (bytes: Uint8Array) => void,
    sendText: (text: string) => void,
  ): void {
    const { type, entity, rowId, ready } = JSON.parse(message) as {
      readonly type: string;
      readonly entity: string;
      readonly rowId: string;
      readonly ready?: boolean;
    };
    const name = `${entity}/${rowId}`;
    const row = this.#rows.get(name);
    if (row === undefined) return;
    if (type === "crdt-unsubscribe") row.readers.delete(send);
    if (type !== "crdt-subscribe") return;
    row.readers.add(send);
    const wantsReady = ready === true && this.tellsReady;
    const end = (): void => {
      if (wantsReady) sendText(JSON.stringify({ type: "crdt-ready", entity, rowId }));
    };
    if (this.pauseOfParts === null) {
      this.#send(name, send);
      end();
    } else this.#sendParts(name, this.pauseOfParts, send, end);
  }

  #push(path: string, body: string): Response | undefined {
    const name = /^\/api\/crdt\/(.*)$/.exec(path.split("?")[0] ?? "")?.[1];
    if (name === undefined) return undefined;
    if (this.refusal !== null) return this.refusal.clone();
    const row = this.#rows.get(name);
    if (row === undefined) return refusal(404, "NOT_FOUND");
    if (body === "") {
      this.reads += 1;
      const frame = frameOf(name, CRDT_FRAME_SNAPSHOT, this.snapshot(name));
      return Response.json({ after: "d1.1", frames: [frame.toHex()] });
    }
    if (body.length > this.maxRequestBytes) return new Response("Too large", { status: 413 });
    const { update, length = 0 } = JSON.parse(body) as {
      readonly update: string;
      readonly length?: number;
    };
    if (length > this.maxLength) return refusal(413, "PAYLOAD_TOO_LARGE");
    const bytes = Uint8Array.from(Buffer.from(update, "hex"));
    if (!imports(row.document, bytes)) return refusal(400, "CRDT_APPLY_FAILED");
    if (this.losesNext) {
      this.losesNext = false;
      return refusal(503, "OVERLOADED");
    }
    this.pushes.push({ name, text: JSON.stringify(row.document.toJSON()), bytes: bytes.length });
    this.#tell(name, bytes);
    return Response.json({ ok: true });
  }

  #row(name: string): ServerDocument {
    const row = this.#rows.get(name);
    if (row === undefined) throw new Error(`There is no document ${name}.`);
    return row;
  }

  #send(name: string, send: (bytes: Uint8Array) => void): void {
    const payload = this.#row(name).document.export({ mode: "snapshot" });
    if (this.sendsFrames) send(frameOf(name, CRDT_FRAME_SNAPSHOT, payload));
  }

  #sendParts(
    name: string,
    pause: number,
    send: (bytes: Uint8Array) => void,
    end: () => void,
  ): void {
    const [snapshot = new Uint8Array(), ...updates] = this.#row(name).parts;
    send(frameOf(name, CRDT_FRAME_SNAPSHOT, snapshot));
    for (const [index, update] of updates.entries())
      this.#machine.later((index + 1) * pause, () =>
        send(frameOf(name, CRDT_FRAME_UPDATE, update)),
      );
    this.#machine.later((updates.length + 1) * pause, end);
  }

  #tell(name: string, payload: Uint8Array): void {
    this.#row(name).parts.push(payload);
    const frame = frameOf(name, CRDT_FRAME_UPDATE, payload);
    if (this.sendsFrames) for (const send of this.#row(name).readers) send(frame);
  }
}

function frameOf(name: string, type: 0x10 | 0x11, payload: Uint8Array): Uint8Array {
  const [entity = "", rowId = ""] = name.split("/");
  return encodeCrdtFrame({ type, entity, rowId, payload });
}

function textIn(document: LoroDoc, field: string): LoroText {
  const text = document.getMap("row").get(field);
  if (text instanceof LoroText) return text;
  throw new Error(`There is no text ${field}.`);
}

/** @returns false if the changes on which the bytes depend are missing */
function imports(document: LoroDoc, bytes: Uint8Array): boolean {
  try {
    return document.import(bytes).pending === null;
  } catch {
    return false;
  }
}
