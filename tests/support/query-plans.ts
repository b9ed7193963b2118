import { Database } from "bun:sqlite";
import { spyOn } from "bun:test";
import { Client } from "pg";

const FILLED = 3000;

/** Records the statements that this process prepares for SQLite. */
export function recordStatements(): { readonly stop: () => string[] } {
  const found = new Set<string>();
  const original = Database.prototype.prepare;
  const prepared = spyOn(Database.prototype, "prepare").mockImplementation(function (
    this: Database,
    sql: string,
  ) {
    if (/^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(sql)) found.add(sql);
    return original.call(this, sql);
  } as typeof original);
  return {
    stop: () => {
      prepared.mockRestore();
      return [...found];
    },
  };
}

/** The plan of a statement in a database. */
export interface Plan {
  readonly sql: string;
  readonly plan: string;
}

/** Fills the tables of a database that no server uses, and explains the statements. */
export function sqlitePlans(file: string, statements: readonly string[]): Plan[] {
  using database = new Database(file);
  const tables = database
    .query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all();
  for (const { name } of tables) fillSqlite(database, name);
  database.run("ANALYZE");
  return statements.map((sql) => {
    const steps = database.query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`).all();
    return { sql, plan: steps.map(({ detail }) => detail).join("\n") };
  });
}

function fillSqlite(database: Database, table: string): void {
  const columns = database
    .query<{ name: string; type: string }, []>(
      `SELECT name, type FROM pragma_table_info('${table}')`,
    )
    .all();
  const values = columns.map(({ name, type }) => {
    if (table === "_pylon_changes" && (name === "before" || name === "after")) return "NULL";
    if (name === "seq") return "1000000 + n";
    if (table === "_pylon_changes" && name === "kind") return "'update'";
    if (table === "_pylon_jobs" && NOT_OF_WAITING.has(name)) return "NULL";
    return type === "TEXT" ? "'x' || n" : "n";
  });
  database.run(
    `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${FILLED})
     INSERT INTO "${table}" (${columns.map(({ name }) => `"${name}"`).join(", ")}) SELECT
       ${values.join(", ")} FROM numbers`,
  );
}

/** Columns that are empty for jobs that wait for their time. */
const NOT_OF_WAITING: ReadonlySet<string> = new Set(["readyKey", "progress"]);

/**
 * Fills the tables of a Postgres database, and makes it report to each connection the plans that it
 * runs.
 */
export async function explainAll(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await fillPostgres(client);
  const name = new URL(url).pathname.slice(1);
  await client.query("LOAD 'auto_explain'");
  for (const setting of [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "client_min_messages = log",
  ])
    await client.query(`ALTER DATABASE "${name}" SET ${setting}`);
  await client.end();
}

/** Records the plans that Postgres reports to this process, once `begin` was called. */
export function recordPlans(): { readonly begin: () => void; readonly stop: () => Plan[] } {
  const found = new Map<string, Plan>();
  const heard = new WeakSet<Client>();
  let isOn = false;
  const original = Client.prototype.query;
  const listen = (client: Client): void => {
    if (heard.has(client)) return;
    heard.add(client);
    client.on("notice", ({ message = "" }) => {
      const parts = /Query Text: (.*?)\n(?=\S[^\n]*\(cost=)(.*)$/s.exec(message);
      const [, sql = "", plan = ""] = parts ?? [];
      if (isOn && parts !== null) found.set(`${sql}\n${plan}`, { sql, plan });
    });
  };
  const queried = spyOn(Client.prototype, "query").mockImplementation(function (
    this: Client,
    ...args: unknown[]
  ) {
    listen(this);
    return Reflect.apply(original, this, args) as unknown;
  } as typeof original);
  return {
    begin: () => {
      isOn = true;
    },
    stop: () => {
      queried.mockRestore();
      return [...found.values()];
    },
  };
}

/** Whether it scans a whole table, or a whole index without a condition or a limit. */
export function isScan({ plan }: Plan): boolean {
  const lines = plan.split("\n");
  return lines.some((line, index) => {
    if (/^SCAN (?!CONSTANT ROW)/.test(line)) return true;
    if (/Seq Scan on (?!_pylon_log\b|_pylon_meta\b)/.test(line)) return true;
    const isLed = /Index Cond/.test(lines.slice(index + 1, index + 2).join());
    return /Index (Only )?Scan/.test(line) && !isLed && !/Limit/.test(plan);
  });
}

async function fillPostgres(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string; columns: { name: string; type: string }[] }>(
    `SELECT table_name AS name, json_agg(json_build_object('name', column_name, 'type',
      data_type)) AS columns
     FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'NO'
       AND data_type <> 'xid8'
     GROUP BY table_name`,
  );
  for (const { name: table, columns } of rows) {
    if (table === "_pylon_log" || table === "_pylon_meta") continue;
    const values = columns.map(({ name, type }) => valueFor(table, name, type));
    await client.query(
      `INSERT INTO "${table}" (${columns.map(({ name }) => `"${name}"`).join(", ")}) SELECT
        ${values.join(", ")} FROM generate_series(1, ${FILLED}) AS n
       ON CONFLICT DO NOTHING`,
    );
  }
  await client.query(
    'UPDATE "_pylon_log" SET head = (SELECT max(seq) FROM "_pylon_changes"), numbered_below ' +
      "= pg_current_xact_id()",
  );
  await client.query("ANALYZE");
}

function valueFor(table: string, name: string, type: string): string {
  if (table === "_pylon_changes" && (name === "before" || name === "after")) return "NULL";
  if (table === "_pylon_changes" && name === "kind") return "'update'";
  if (table === "_pylon_jobs" && NOT_OF_WAITING.has(name)) return "NULL";
  if (table === "_pylon_jobs" && name === "dueAt") return "now() + interval '1 day'";
  if (name === "seq") return "1000000 + n";
  if (type === "text") return "'x' || n";
  if (type === "boolean") return "n % 2 = 0";
  if (type === "json" || type === "jsonb") return `'{}'::${type}`;
  if (type.startsWith("timestamp")) return "now()";
  return "n";
}
