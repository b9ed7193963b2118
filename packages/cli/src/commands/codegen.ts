import { existsSync, writeFileSync } from "node:fs";
import { loadApp, validateManifest } from "@pylonsync/server";
import { ENTRY, locateApp } from "../app-dir.ts";
import { defineCommand } from "../command.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { writeGenerated } from "../generated.ts";
import { CommandError, EXIT } from "../output.ts";

/** `pylon codegen`: writes the manifest and `pylon.client.ts`. */
export const codegen = defineCommand({
  name: "codegen",
  args: ["[DIR]"],
  summary: "Write pylon.manifest.json and pylon.client.ts; with --out only the manifest, to FILE.",
  options: {
    out: {
      type: "string",
      value: "FILE",
      summary: "Where the manifest goes; nothing else is written then.",
    },
    entry: ENTRY,
  },
  async run(context) {
    if (context.args[0] === "client" && !existsSync("client"))
      throw new CommandError(
        "USAGE",
        "`pylon codegen [DIR]` writes pylon.client.ts, without the word client.",
        EXIT.USAGE,
      );
    const { dir, entry } = locateApp(context, "CODEGEN");
    const { output, options } = context;
    const loaded = await loadApp(dir, { entry, dev: true });
    const { manifest, diagnostics: found } = validateManifest(loaded.manifest);
    const diagnostics = [...loaded.diagnostics, ...found];
    if (manifest === null || hasErrors(diagnostics)) {
      sayDiagnostics(diagnostics, output);
      output.json({ code: "CODEGEN_FAILED", diagnostics });
      return EXIT.FAILED;
    }
    if (options.out === undefined) writeGenerated(loaded, manifest, entry);
    else writeFileSync(options.out, `${JSON.stringify(manifest, null, 2)}\n`);
    output.say(`Wrote ${options.out ?? "pylon.manifest.json and pylon.client.ts"}.`);
    output.json({
      code: "CODEGEN_OK",
      name: manifest.name,
      entities: manifest.entities.length,
      functions: loaded.functions.size,
    });
    return EXIT.OK;
  },
});
