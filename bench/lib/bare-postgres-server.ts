// The baseline on Postgres: a bare Bun server that sends the statements of an insert through the
// bare driver, over as many connections.
import { Pool } from "pg";

const pool = new Pool({ connectionString: process.env["DATABASE_URL"], max: 10 });
await pool.query(
  'CREATE TABLE "Note" (id TEXT COLLATE "C" PRIMARY KEY, "text" TEXT COLLATE "C", "count" ' +
    'BIGINT, "ownerId" TEXT COLLATE "C")',
);
await pool.query(
  `CREATE TABLE changes (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid XID8 NOT NULL
    DEFAULT pg_current_xact_id(), seq BIGINT, entity TEXT,
     row_id TEXT, kind TEXT, before TEXT, after TEXT, at BIGINT)`,
);
await pool.query("CREATE INDEX ON changes (xid, id) WHERE seq IS NULL");

const server = Bun.serve<undefined, string>({
  port: 0,
  routes: {
    "/api/entities/Note": async (request: Request) => {
      const { text, count } = (await request.json()) as { text: string; count: number };
      const row = { id: crypto.randomUUID(), text, count, ownerId: "owner" };
      const client = await pool.connect();
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await client.query({
        name: "insert",
        text:
          'INSERT INTO "Note" ("id", "text", "count", "ownerId") VALUES ($1, $2, $3, $4) ON ' +
          "CONFLICT DO NOTHING",
        values: Object.values(row),
      });
      await client.query({
        name: "change",
        text:
          "INSERT INTO changes (entity, row_id, kind, before, after, at) VALUES ($1, $2, $3, " +
          "$4, $5, $6) RETURNING id, xid::text AS xid",
        values: ["Note", row.id, "insert", null, JSON.stringify(row), Date.now()],
      });
      await client.query("COMMIT");
      client.release();
      return Response.json({ id: row.id }, { status: 201 });
    },
  },
  fetch: () => new Response(null, { status: 404 }),
});
process.stdout.write(`${server.url.href}\n`);
