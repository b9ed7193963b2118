import { flag, postgresUrl, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of the database. */
export const DATABASE_VARIABLES = {
  DATABASE_URL: variable<string | undefined>({
    wants: "postgres://user:password@host:5432/database",
    doc:
      "The Postgres database; replaces SQLite. `?sslmode=` as in libpq: `disable`, `prefer` " +
      "(default), `require`, `verify-ca`, `verify-full`.",
    fallback: undefined,
    secret: true,
    parse: postgresUrl,
  }),
  PYLON_DATABASE_CA: variable<string | undefined>({
    wants: "a PEM file, or its text",
    doc:
      "The CA certificate of the database. If it is set, the database's certificate is verified " +
      "(`verify-full`, unless sslmode says otherwise). Certificates of Amazon RDS and Aurora " +
      "are verified without it.",
    fallback: undefined,
    parse: text,
  }),
  PYLON_DATABASE_POOL: variable({
    wants: "a whole number from 2 to 1000",
    doc:
      "The maximum number of Postgres connections that one server opens for rows. It opens four " +
      "more for notifications, the change log, `/readyz` and maintenance, and up to five for " +
      "rooms without `REDIS_URL`. While statements get no response for seconds, two more " +
      "check whether the database is still working on them. The total of all servers must " +
      "stay below the database's `max_connections`.",
    fallback: 10,
    parse: whole(2, 1000),
  }),
  PYLON_DB_PATH: variable({
    wants: "a file",
    doc:
      "The SQLite database file. `pylon start` and `pylon dev` use their own defaults, " +
      "`pylon.db` and `.pylon/dev.db` in the app's folder; see [where an app's data is " +
      "stored](cli.md#where-an-apps-data-is-stored).",
    fallback: "pylon.db",
    parse: text,
  }),
  PYLON_IN_MEMORY: variable({
    wants: "1 or 0",
    doc: "Stores data in a temporary file that is deleted on exit: for tests.",
    fallback: false,
    parse: flag,
  }),
} as const;
