import { readFileSync } from "node:fs";
import { defineCommand } from "../command.ts";
import { sayReport, type ImportReport } from "../import-report.ts";
import { CommandError, EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";

const DEFAULT_FILE = "seed.json";

/** `pylon seed`: writes the rows of a file into a running server's database. */
export const seed = defineCommand({
  name: "seed",
  args: [],
  summary: "Import the rows of a file into the database of a running server, as its admin.",
  options: {
    file: {
      type: "string",
      value: "FILE",
      summary: 'The rows: {"Entity": [{...}]}; default seed.json.',
    },
    upsert: {
      type: "boolean",
      summary: "Update rows whose id exists, so that the command can be repeated.",
    },
    url: URL_OPTION,
  },
  async run({ options, output, env }) {
    const file = options.file ?? DEFAULT_FILE;
    const body = JSON.stringify({ entities: rowsOf(file) });
    const client = new AdminClient(options.url, env);
    const path = `/api/import${options.upsert ? "?mode=upsert" : ""}`;
    const result: ImportReport = await (await client.send("POST", path, body)).json();
    sayReport(result, file, output, ({ line, entity }) => `row ${line} of ${entity}`);
    output.json({ code: result.failed === 0 ? "SEED_OK" : "SEED_PARTIAL", ...result });
    return result.failed === 0 ? EXIT.OK : EXIT.FAILED;
  },
});

/** @throws CommandError SEED_FILE_READ, SEED_INVALID_JSON */
function rowsOf(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError("SEED_FILE_READ", `${file} can't be read: ${why}`);
  }
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError("SEED_INVALID_JSON", `${file} is not JSON: ${why}`);
  }
  const isMap = typeof rows === "object" && rows !== null && !Array.isArray(rows);
  if (isMap && Object.values(rows ?? {}).every(Array.isArray)) return rows;
  throw new CommandError(
    "SEED_INVALID_JSON",
    `${file} must contain a list of rows for each entity, as in {"Todo": [{"title": "Buy milk"}]}.`,
  );
}
