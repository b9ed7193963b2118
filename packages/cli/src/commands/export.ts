import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { defineCommand } from "../command.ts";
import { CommandError, EXIT } from "../output.ts";
import { AdminClient, URL_OPTION } from "../remote/admin-client.ts";
import { systemFailure } from "../system-failure.ts";

/** `pylon export`: writes the rows of a running server's entity as CSV. */
export const exportCsv = defineCommand({
  name: "export",
  args: ["ENTITY", "[FILE]"],
  summary:
    "Write the rows of an entity of a running server as CSV, as its admin, to a new file or to " +
    "the standard output.",
  options: {
    spreadsheet: {
      type: "boolean",
      summary:
        "For a file that a spreadsheet opens: texts that it would take for formulas begin with '.",
    },
    url: URL_OPTION,
  },
  async run({ args, options, output, env }) {
    const [entity, file] = args;
    if (entity === undefined)
      throw new CommandError(
        "USAGE",
        "Specify the entity: `pylon export Product products.csv`.",
        EXIT.USAGE,
      );
    if (file !== undefined && existsSync(file))
      throw new CommandError("EXPORT_FILE_EXISTS", `${file} exists: specify a new file.`);
    const client = new AdminClient(options.url, env);
    const path = `/api/export/${encodeURIComponent(entity)}`;
    const query = options.spreadsheet ? "?for=spreadsheet" : "";
    const response = await client.get(path + query, { staysOpen: true, accept: "text/csv" });
    if (file === undefined) {
      await print(response);
      return EXIT.OK;
    }
    await writeFile(file, response);
    output.say(`The rows of ${entity} are in ${file}.`);
    output.json({ code: "EXPORT_OK", entity, file });
    return EXIT.OK;
  },
});

/**
 * Writes to the standard output, until its reader ends: `head` needs only the first lines.
 *
 * @throws CommandError EXPORT_FAILED
 */
async function print(response: Response): Promise<void> {
  const failed = new Promise<never>((_, reject) => process.stdout.once("error", reject));
  failed.catch(() => undefined);
  try {
    for await (const chunk of chunksOf(response))
      if (!process.stdout.write(chunk)) await Promise.race([once(process.stdout, "drain"), failed]);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return;
    const why = systemFailure(error, "The standard output") ?? String(error);
    throw new CommandError("EXPORT_FAILED", why);
  }
}

/** A file with this name is complete. @throws CommandError EXPORT_FAILED */
async function writeFile(file: string, response: Response): Promise<void> {
  const partial = `${file}.partial`;
  try {
    const stream = createWriteStream(partial);
    const isWritten = finished(stream);
    isWritten.catch(() => undefined);
    for await (const chunk of chunksOf(response)) {
      if (stream.destroyed) break;
      if (!stream.write(chunk)) await Promise.race([once(stream, "drain"), isWritten]);
    }
    stream.end();
    await isWritten;
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof CommandError) throw error;
    const why = systemFailure(error, file) ?? String(error);
    throw new CommandError("EXPORT_FAILED", `Nothing was exported. ${why}`);
  }
}

/** @throws CommandError EXPORT_INTERRUPTED */
async function* chunksOf({ body }: Response): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  try {
    for await (const chunk of body) yield chunk;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      "EXPORT_INTERRUPTED",
      `The server ended the export: ${why}`,
      EXIT.UNAVAILABLE,
    );
  }
}
