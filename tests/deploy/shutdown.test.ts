import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSyncEngine, systemPlatform, type Socket, type SyncEngine } from "@pylonsync/sync";
import { bearerProtocol } from "@pylonsync/protocol";
import { TestClient, until } from "../support/client.ts";
import { Replica } from "../support/cluster.ts";
import { ADMIN_TOKEN } from "../support/server.ts";
import { Certificate } from "../support/servers/certificate.ts";
import { freePort } from "../support/servers/free-port.ts";
import { createDatabase, sharedPostgresUrl } from "../support/servers/postgres.ts";
import { ProxyServer } from "../support/servers/proxy.ts";
import {
  CutError,
  RefusedError,
  StrictClient,
  type StrictAnswer,
} from "../support/strict-client.ts";

const APP = `import { buildManifest, entity, field } from "@pylonsync/sdk";
export default buildManifest({ name: "shutdown", version: "1.0.0", access: "public",
  entities: [entity("Note", { text: field.string() })] });
`;
const ADD = `import { mutation } from "@pylonsync/functions";
export default mutation({ handler: async (ctx, args) => ctx.db.insert("Note", {
  text: String(args.text) }) });
`;
/** Waits in the middle of its transaction, and creates a file when the wait starts. */
const WAIT = `import { mutation } from "@pylonsync/functions";
export default mutation({
  handler: async (ctx, args) => {
    await ctx.db.insert("Note", { text: String(args.text) });
    await Bun.write(String(args.begun), "");
    await new Promise((resolve) => setTimeout(resolve, Number(args.ms)));
    return "waited";
  },
});
`;

const dir = mkdtempSync(join(tmpdir(), "pylon-shutdown-"));
const certificate = new Certificate();
beforeAll(() => {
  mkdirSync(join(dir, "functions"));
  writeFileSync(join(dir, "app.ts"), APP);
  writeFileSync(join(dir, "functions", "add.ts"), ADD);
  writeFileSync(join(dir, "functions", "wait.ts"), WAIT);
});
afterAll(() => {
  certificate[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

async function replicaWith(env: Readonly<Record<string, string>>): Promise<Replica> {
  const files = mkdtempSync(join(dir, "files-"));
  const replica = new Replica(dir, await freePort(), {
    PYLON_FILES_DIR: files,
    PYLON_DB_PATH: join(files, "pylon.db"),
    ...env,
  });
  await replica.start();
  return replica;
}

/** The path of a file that does not exist yet. */
const newFile = (): string => join(dir, crypto.randomUUID());

async function tokenOfUser(url: string): Promise<string> {
  const admin = new TestClient(url, ADMIN_TOKEN);
  const { body } = await admin.request("POST", "/api/auth/session", { user_id: "loader" });
  return body["token"] as string;
}

async function notesOf(url: string): Promise<string[]> {
  const { body } = await new TestClient(url, ADMIN_TOKEN).request("GET", "/api/export/Note");
  return (body["entities"] as { Note: { text: string }[] }).Note.map(({ text }) => text);
}

/** The status codes of a proxy that got no response from its upstream. */
const GATEWAY_FAULTS: ReadonlySet<number> = new Set([502, 503, 504]);

/** Callers that write without pause, and record the acknowledged writes. */
class Load {
  /** The text of each acknowledged note. */
  readonly acknowledged: string[] = [];
  uploads = 0;
  /** The unexpected responses. */
  readonly faults: string[] = [];
  readonly #url: string;
  readonly #ca: string | undefined;
  readonly #retries: boolean;
  readonly #callers: Promise<void>[] = [];
  #isOver = false;
  #count = 0;

  /** @param options retries: a write without a response is resent under the same `op_id` or key */
  constructor(url: string, options: { readonly ca?: string; readonly retries: boolean }) {
    this.#url = url;
    this.#ca = options.ca;
    this.#retries = options.retries;
  }

  start(token: string): void {
    for (let index = 0; index < 4; index += 1) {
      this.#run(token, async (client, text) => {
        const change = {
          entity: "Note",
          kind: "insert",
          row_id: `row-${text}`,
          data: { text },
          op_id: `op-${text}`,
        };
        const answer = await client.request(
          "POST",
          "/api/sync/push",
          JSON.stringify({ changes: [change], client_id: "load", results: true }),
        );
        const status =
          answer.status === 200
            ? (JSON.parse(answer.text) as { results: { status: string }[] }).results[0]?.status
            : undefined;
        if (status === "applied" || status === "deduped") this.acknowledged.push(text);
        return answer;
      });
      this.#run(token, async (client, text) => {
        const answer = await client.request("POST", "/api/fn/add", JSON.stringify({ text }), {
          "Idempotency-Key": `key-${text}`,
        });
        if (answer.status === 200) this.acknowledged.push(text);
        return answer;
      });
    }
    const content = new Uint8Array(1024 * 1024).fill(7);
    this.#run(token, async (client, text) => {
      const answer = await client.request("POST", "/api/files/upload", content, {
        "Content-Type": "application/octet-stream",
        "X-Filename": `${text}.bin`,
      });
      if (answer.status === 201) this.uploads += 1;
      return answer;
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#callers);
  }

  #run(token: string, write: (client: StrictClient, text: string) => Promise<StrictAnswer>): void {
    const client = new StrictClient(this.#url, token, this.#ca);
    const loop = async (): Promise<void> => {
      while (!this.#isOver) {
        await this.#once(client, `note-${(this.#count += 1)}`, write);
        await Bun.sleep(5);
      }
      client.close();
    };
    this.#callers.push(loop());
  }

  async #once(
    client: StrictClient,
    text: string,
    write: (client: StrictClient, text: string) => Promise<StrictAnswer>,
  ): Promise<void> {
    for (;;) {
      try {
        const { status, text: body } = await write(client, text);
        if (this.#retries && GATEWAY_FAULTS.has(status)) {
          await Bun.sleep(50);
          continue;
        }
        if (status >= 300) this.faults.push(`${status} ${body}`);
        return;
      } catch (error) {
        if (!(error instanceof CutError || error instanceof RefusedError)) throw error;
        if (!this.#retries) {
          this.faults.push(`${error.name}: ${error.message}`);
          return;
        }
        await Bun.sleep(50);
      }
    }
  }
}

/**
 * A real client engine, whose network trusts the certificate authority of the test.
 *
 * @param codes receives the codes with which its sockets are closed
 */
function engineAt(
  url: string,
  token: string,
  transport: "websocket" | "sse",
  codes: number[],
): SyncEngine {
  const platform = {
    ...systemPlatform,
    fetch: (target: string, init: RequestInit) =>
      fetch(target, { ...init, tls: { ca: certificate.ca } }),
    openSocket: (target: string, protocols: string[]): Socket => {
      const socket = new WebSocket(target, {
        protocols,
        tls: { ca: certificate.ca },
      } as unknown as string[]);
      socket.addEventListener("close", ({ code }) => codes.push(code));
      return socket as unknown as Socket;
    },
  };
  return createSyncEngine(url, {
    token,
    transport,
    platform,
    reconnectDelay: 200,
    storage: memoryStorage(),
  });
}

function memoryStorage(): {
  get: (key: string) => string | null;
  set: (key: string, value: string) => void;
  remove: (key: string) => void;
} {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
  };
}

function sorted(texts: readonly string[]): string[] {
  return texts.toSorted();
}

test.each([
  // HAProxy checks /readyz, so callers never have to retry.
  ["haproxy", "no request is cut", false],
  // nginx only detects that a replica is gone when it rejects a request, possibly in the middle of
  // it.
  ["nginx", "cut requests are retried", true],
] as const)(
  "a rolling restart of two replicas behind %s under load loses and repeats no write: %s",
  async (kind, _what, retries) => {
    const env = {
      DATABASE_URL: await createDatabase(sharedPostgresUrl()),
      PYLON_TRUST_PROXY_HOPS: "1",
      PYLON_DRAIN_DELAY_SECS: "2",
    };
    const replicas = [await replicaWith(env), await replicaWith(env)] as const;
    try {
      await using proxy = await ProxyServer.start(kind, {
        certificate,
        port: await freePort(),
        fourPorts: false,
        replicas: [replicas[0].port, replicas[1].port],
      });
      // A user, because a guest may not upload this much.
      const token = await tokenOfUser(replicas[0].url);
      const codes: number[] = [];
      const engines = [
        ...Array.from({ length: 4 }, () => engineAt(proxy.url, token, "websocket", codes)),
        engineAt(proxy.url, token, "sse", codes),
      ];
      for (const engine of engines) engine.start();
      await until(() => engines.every(({ status }) => status.connection === "live"), 10_000);
      const load = new Load(proxy.url, { ca: certificate.ca, retries });
      load.start(token);
      await until(() => load.acknowledged.length > 50, 20_000);
      for (const replica of replicas) {
        expect(await replica.stop()).toBe(0);
        await replica.start();
        await proxy.untilUp();
      }
      await load.stop();
      expect(load.faults).toEqual([]);
      const notes = sorted(await notesOf(replicas[0].url));
      expect(notes).toEqual(sorted(load.acknowledged));
      expect(load.uploads).toBeGreaterThan(0);
      await until(
        () => engines.every((engine) => engine.query("Note").getSnapshot().length === notes.length),
        15_000,
      );
      for (const engine of engines)
        expect(
          sorted(
            engine
              .query("Note")
              .getSnapshot()
              .map((row) => String(row["text"])),
          ),
        ).toEqual(notes);
      // Each socket was on one of the replicas, and was closed so that it reconnects elsewhere.
      expect(new Set(codes)).toEqual(new Set([1001]));
      for (const engine of engines) engine.stop();
    } finally {
      await Promise.all(replicas.map((replica) => replica.stop("SIGKILL")));
    }
  },
  60_000,
);

test("a restart of a single SQLite server loses no write and applies no retry twice", async () => {
  const replica = await replicaWith({});
  try {
    const load = new Load(replica.url, { retries: true });
    load.start(await tokenOfUser(replica.url));
    for (let round = 0; round < 2; round += 1) {
      const before = load.acknowledged.length;
      await until(() => load.acknowledged.length > before + 100, 20_000);
      expect(await replica.stop()).toBe(0);
      await replica.start();
    }
    await load.stop();
    expect(load.faults).toEqual([]);
    expect(sorted(await notesOf(replica.url))).toEqual(sorted(load.acknowledged));
  } finally {
    await replica.stop("SIGKILL");
  }
}, 60_000);

describe("on SIGTERM", () => {
  test("a draining server reports it, finishes requests, closes sockets, and exits 0", async () => {
    const replica = await replicaWith({ PYLON_DRAIN_DELAY_SECS: "1" });
    try {
      const { token } = await TestClient.guest(replica.url);
      const socket = new WebSocket(`${replica.url.replace("http", "ws")}/ws?since=0`, [
        bearerProtocol(token ?? ""),
      ]);
      const closed = new Promise<number>((resolve) =>
        socket.addEventListener("close", ({ code }) => resolve(code)),
      );
      await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
      const stream = await fetch(`${replica.url}/events?since=0`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      const streamed = stream.text();
      const begun = newFile();
      const slow = new StrictClient(replica.url, token ?? "").request(
        "POST",
        "/api/fn/wait",
        JSON.stringify({ text: "slow", ms: 2_000, begun }),
      );
      await until(() => existsSync(begun));

      replica.signal("SIGTERM");
      await until(async () => (await fetch(`${replica.url}/readyz`)).status === 503);
      expect((await fetch(`${replica.url}/health`)).status).toBe(200);
      const answer = await fetch(`${replica.url}/api/auth/me`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]);
      expect(socket.readyState).toBe(WebSocket.OPEN);

      expect(await closed).toBe(1001);
      expect(await streamed).toContain('"hello"');
      // The server accepts no new connections while the slow request is still running.
      expect(
        await fetch(`${replica.url}/health`).then(
          ({ status }) => status,
          () => "refused",
        ),
      ).toBe("refused");
      expect(await slow).toMatchObject({ status: 200 });
      expect(await replica.ended()).toBe(0);
      await replica.start();
      expect(await notesOf(replica.url)).toEqual(["slow"]);
    } finally {
      await replica.stop("SIGKILL");
    }
  });

  test("sockets that open during the shutdown are closed like all others", async () => {
    const replica = await replicaWith({ PYLON_DRAIN_DELAY_SECS: "1" });
    try {
      const { token } = await TestClient.guest(replica.url);
      const sockets: { code: number | null; isOpen: boolean }[] = [];
      replica.signal("SIGTERM");
      while (sockets.at(-20)?.isOpen !== false || sockets.at(-20)?.code === null) {
        const socket = new WebSocket(`${replica.url.replace("http", "ws")}/ws?since=0`, [
          bearerProtocol(token ?? ""),
        ]);
        const one = { code: null as number | null, isOpen: false };
        socket.addEventListener("open", () => (one.isOpen = true));
        socket.addEventListener("close", ({ code }) => (one.code = code));
        sockets.push(one);
        await Bun.sleep(2);
      }
      expect(await replica.ended()).toBe(0);
      await until(() => sockets.every(({ code }) => code !== null));
      const opened = sockets.filter(({ isOpen }) => isOpen);
      // The number depends on the machine; the last sockets met the end of the server.
      expect(opened.length).toBeGreaterThan(10);
      expect(new Set(opened.map(({ code }) => code))).toEqual(new Set([1001]));
    } finally {
      await replica.stop("SIGKILL");
    }
  });

  test.each([["SQLite"], ["Postgres"]])(
    "a request that exceeds the deadline is cut, stores nothing, and the server on %s ends",
    async (store) => {
      const replica = await replicaWith({
        PYLON_DRAIN_SECS: "1",
        ...(store === "Postgres"
          ? { DATABASE_URL: await createDatabase(sharedPostgresUrl()) }
          : {}),
      });
      try {
        const { token } = await TestClient.guest(replica.url);
        const begun = newFile();
        const endless = new StrictClient(replica.url, token ?? "")
          .request("POST", "/api/fn/wait", JSON.stringify({ text: "endless", ms: 25_000, begun }))
          .then(
            ({ status }) => status,
            (error: Error) => error.name,
          );
        await until(() => existsSync(begun));
        expect(await replica.stop()).toBe(0);
        expect(await endless).toBe("CutError");
        await replica.start();
        expect(await notesOf(replica.url)).toEqual([]);
      } finally {
        await replica.stop("SIGKILL");
      }
    },
  );

  test.each(["SIGTERM", "SIGINT"] as const)(
    "a second signal, %s, ends a server immediately",
    async (second) => {
      const replica = await replicaWith({ PYLON_DRAIN_DELAY_SECS: "1000" });
      try {
        replica.signal("SIGTERM");
        await until(async () => (await fetch(`${replica.url}/readyz`)).status === 503);
        // Signals right after the first one count as the same, because Ctrl-C in a terminal is sent
        // twice.
        let isOver = false;
        const ended = replica.ended().finally(() => {
          isOver = true;
        });
        while (!isOver) {
          replica.signal(second);
          await Bun.sleep(20);
        }
        expect(await ended).toBe(1);
      } finally {
        await replica.stop("SIGKILL");
      }
    },
  );
});
