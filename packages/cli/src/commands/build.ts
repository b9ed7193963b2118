import { compileApp, loadApp } from "@pylonsync/server";
import { countFunctions } from "../count-functions.ts";
import { ENTRY, locateApp } from "../app-dir.ts";
import { counted } from "../counted.ts";
import { defineCommand } from "../command.ts";
import { hasErrors, sayDiagnostics } from "../diagnostics.ts";
import { writeGenerated } from "../generated.ts";
import { EXIT } from "../output.ts";

/** `pylon build`: checks that the app can be deployed, for scripts that build before they start. */
export const build = defineCommand({
  name: "build",
  args: ["[DIR]"],
  summary:
    "Check the app, generate its client and bundle its page, as `pylon start` does " +
    "automatically; fails if the app can't be served.",
  options: { entry: ENTRY },
  async run(context) {
    const { dir, entry } = locateApp(context, "BUILD");
    const { output } = context;
    const loaded = await loadApp(dir, { entry, dev: false });
    const { app, diagnostics } = compileApp(loaded, { dev: false });
    sayDiagnostics(diagnostics, output);
    if (app === null || hasErrors(diagnostics)) {
      output.json({ code: "BUILD_FAILED", diagnostics });
      return EXIT.FAILED;
    }
    writeGenerated(loaded, app.manifest, entry);
    const files = (await app.web?.paths()) ?? [];
    output.say(
      `${app.manifest.name} can be served: ${counted(countFunctions(loaded), "function")}, ` +
        (app.web?.hasPage === true ? `a page of ${counted(files.length, "file")}.` : "no page."),
    );
    output.json({ code: "BUILD_OK", name: app.manifest.name, files, diagnostics });
    return EXIT.OK;
  },
});
