import { statSync } from "node:fs";
import { defineCommand } from "../command.ts";
import { sayReport, type ImportFailure, type ImportReport } from "../import-report.ts";
import { CommandError, EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";
import { systemFailure } from "../system-failure.ts";

/** `pylon import`: writes the rows of a CSV file into a running server's database. */
export const importCsv = defineCommand({
  name: "import",
  args: ["ENTITY", "FILE"],
  summary:
    "Import the rows of a CSV file into the database of a running server, as its admin. The " +
    "first line of the file names the fields.",
  options: {
    upsert: {
      type: "boolean",
      summary: "Update rows whose id exists, so that the command can be repeated.",
    },
    url: URL_OPTION,
  },
  async run({ args, options, output, env }) {
    const [entity, file] = args;
    if (entity === undefined || file === undefined)
      throw new CommandError(
        "USAGE",
        "Specify the entity and the file: `pylon import Product products.csv`.",
        EXIT.USAGE,
      );
    checkFile(file);
    const client = new AdminClient(options.url, env);
    const path = `/api/import/${encodeURIComponent(entity)}${options.upsert ? "?mode=upsert" : ""}`;
    const response = await client.upload(path, Bun.file(file), "text/csv");
    const report: ImportReport = await response.json();
    sayReport(report, file, output, placeOf);
    output.json({ code: report.failed === 0 ? "IMPORT_OK" : "IMPORT_PARTIAL", ...report });
    return report.failed === 0 ? EXIT.OK : EXIT.FAILED;
  },
});

/** @throws CommandError IMPORT_FILE_READ */
function checkFile(file: string): void {
  try {
    if (statSync(file).isFile()) return;
  } catch (error) {
    throw new CommandError("IMPORT_FILE_READ", systemFailure(error, file) ?? String(error));
  }
  throw new CommandError("IMPORT_FILE_READ", `${file} is not a file.`);
}

function placeOf({ line, column }: ImportFailure): string {
  return `line ${line}${column === undefined ? "" : `, column ${column}`}`;
}
