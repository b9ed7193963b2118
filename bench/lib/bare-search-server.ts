// The baseline of search: a bare Bun server with FTS5 over the same texts and nothing else.
import { Database } from "bun:sqlite";

const [path = ":memory:"] = process.argv.slice(2);
const db = new Database(path, { create: true });
db.run("PRAGMA journal_mode = WAL");
db.run(`CREATE TABLE "Document" (doc INTEGER PRIMARY KEY, id TEXT, text TEXT, "isPublic" INTEGER)`);
db.run(`CREATE VIRTUAL TABLE docs USING fts5(text, content = 'Document', content_rowid = 'doc')`);
const insert = db.prepare(`INSERT INTO "Document" (id, text, "isPublic") VALUES (?, ?, 1)`);
const FOUND = `docs JOIN "Document" AS d ON d.doc = docs.rowid WHERE docs MATCH ?`;
const COLUMNS = `d.id, d.text, d."isPublic"`;
const all = {
  page: db.prepare(`SELECT ${COLUMNS} FROM ${FOUND} ORDER BY rank LIMIT 20`),
  count: db.prepare<{ total: number }, [string]>(
    "SELECT count(*) AS total FROM docs WHERE docs MATCH ?",
  ),
};
const IS_PUBLIC = `d."isPublic" = 1`;
const readable = {
  page: db.prepare(`SELECT ${COLUMNS} FROM ${FOUND} AND ${IS_PUBLIC} ORDER BY rank LIMIT 20`),
  count: db.prepare<{ total: number }, [string]>(
    `SELECT count(*) AS total FROM ${FOUND} AND ${IS_PUBLIC}`,
  ),
};

const server = Bun.serve({
  port: 0,
  routes: {
    "/health": () => Response.json({ status: "ok" }),
    "/rows": async (request: Request) => {
      const rows = (await request.json()) as { id: string; text: string }[];
      db.transaction(() => {
        for (const { id, text } of rows) insert.run(id, text);
      })();
      return Response.json({});
    },
    "/index": () => {
      db.run(`INSERT INTO docs (docs) VALUES ('rebuild')`);
      return Response.json({});
    },
    "/api/search/Document": async (request: Request) => {
      const { query } = (await request.json()) as { query: string };
      const { page, count } = request.headers.has("Authorization") ? all : readable;
      const words = query.split(" ").map((word) => `"${word}"`);
      const match = words.join(" AND ");
      return Response.json({ hits: page.all(match), total: count.get(match)?.total });
    },
  },
});
process.stdout.write(`${server.url.href}\n`);
