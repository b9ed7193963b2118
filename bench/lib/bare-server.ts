// The baseline: a bare Bun server with the same SQLite statements and nothing else. It commits each
// insert separately and does not wait for the disk (synchronous = NORMAL), unlike ours.
import { Database } from "bun:sqlite";

interface Row {
  readonly id: string;
  readonly text: string;
  readonly count: number;
}

const [path = ":memory:"] = process.argv.slice(2);
const db = new Database(path, { create: true });
db.run("PRAGMA journal_mode = WAL");
db.run("PRAGMA synchronous = NORMAL");
db.run(
  'CREATE TABLE IF NOT EXISTS "Note" (id TEXT PRIMARY KEY NOT NULL, "text" TEXT, "count" ' +
    'INTEGER, "ownerId" TEXT) STRICT, WITHOUT ROWID',
);
const insert = db.prepare(
  `INSERT INTO "Note" ("id", "text", "count", "ownerId") VALUES (?, ?, ?, ?)`,
);
const get = db.prepare(`SELECT * FROM "Note" WHERE id = ?`);
const list = db.prepare(`SELECT * FROM "Note" ORDER BY id LIMIT ?`);
const query = db.prepare(`SELECT * FROM "Note" WHERE "count" > ? ORDER BY "count" DESC LIMIT ?`);

const server = Bun.serve<undefined, string>({
  port: 0,
  routes: {
    "/health": () => Response.json({ status: "ok" }),
    "/api/entities/Note": async (request: Request) => {
      if (request.method === "GET")
        return Response.json(list.all(Number(new URL(request.url).searchParams.get("limit"))));
      const { text, count } = (await request.json()) as { text: string; count: number };
      const id = crypto.randomUUID();
      insert.run(id, text, count, "owner");
      return Response.json({ id }, { status: 201 });
    },
    "/api/entities/Note/:id": (request: Request & { params: Record<string, string> }) => {
      const row = get.get(request.params["id"] ?? "");
      return row === null ? new Response(null, { status: 404 }) : Response.json(row);
    },
    "/api/query/Note": async (request: Request) => {
      const filter = (await request.json()) as { count: { $gt: number }; $limit: number };
      return Response.json(query.all(filter.count.$gt, filter.$limit));
    },
    "/rows": {
      GET: () =>
        new Response(Bun.gzipSync(JSON.stringify(list.all(-1))), {
          headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" },
        }),
      POST: async (request: Request) => {
        const rows = (await request.json()) as Row[];
        for (const { id, text, count } of rows) insert.run(id, text, count, "0".repeat(40));
        return Response.json({});
      },
    },
    "/nothing": async (request: Request) => {
      await request.json();
      return Response.json({ ok: true });
    },
    "/many": async (request: Request) => {
      const { id } = (await request.json()) as { id: string };
      let bytes = 0;
      for (let read = 0; read < 1000; read += 1)
        bytes += (get.get(id) as { text: string }).text.length;
      return Response.json({ bytes });
    },
    "/publish": async (request: Request) => {
      server.publish("all", await request.text());
      return Response.json({});
    },
  },
  fetch: (request, self) =>
    self.upgrade(request) ? undefined : new Response(null, { status: 404 }),
  websocket: {
    open: (socket) => void socket.subscribe("all"),
    // A row is stored, and sent to the other sockets; anything else is sent back.
    message: (socket, text) => {
      if (!String(text).startsWith('{"id"')) return void socket.send(text);
      const { id, text: body, count } = JSON.parse(String(text)) as Row;
      insert.run(id, body, count, "owner");
      socket.publish("all", text);
    },
  },
});
process.stdout.write(`${server.url.href}\n`);
