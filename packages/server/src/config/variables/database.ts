import { flag, postgresUrl, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Where rows are. */
export const DATABASE_VARIABLES = {
  DATABASE_URL: variable<string | undefined>({
    wants: "postgres://user:password@host:5432/database",
    doc:
      "The Postgres database; takes the place of SQLite. `?sslmode=` as in libpq: `disable`, " +
      "`prefer` (default), `require`, `verify-ca`, `verify-full`.",
    fallback: undefined,
    secret: true,
    parse: postgresUrl,
  }),
  PYLON_DATABASE_CA: variable<string | undefined>({
    wants: "a PEM file, or its text",
    doc:
      "The certificate that signed the database's. With it the database's certificate is checked " +
      "(`verify-full`, where sslmode does not say otherwise). That of a database in Amazon RDS " +
      "or Aurora is checked without it.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_DATABASE_POOL: variable({
    wants: "a whole number from 2 to 1000",
    doc:
      "Connections to Postgres that one server opens at most for rows; four more are for " +
      "notifications, the change log, `/readyz` and maintenance, and without `REDIS_URL` up to " +
      "five for rooms. While statements go unanswered for seconds, two more look whether the " +
      "database works on them. All servers together must stay below the database's " +
      "`max_connections`.",
    fallback: 10,
    parse: whole(2, 1000),
  }),
  PYLON_DB_PATH: variable({
    wants: "a file",
    doc:
      "The SQLite database. `pylon start` and `pylon dev` have their own, `pylon.db` and " +
      "`.pylon/dev.db` in the app's folder; see [where an app's data " +
      "is](cli.md#where-an-apps-data-is).",
    fallback: "pylon.db",
    parse: text,
  }),
  PYLON_IN_MEMORY: variable({
    wants: "1 or 0",
    doc: "Stores in a temporary file that is deleted at the end: for tests.",
    fallback: false,
    parse: flag,
  }),
} as const;
