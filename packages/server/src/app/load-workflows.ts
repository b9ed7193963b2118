import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { isWorkflow } from "@pylonsync/workflows";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";
import type { Definitions, LoadedWorkflow } from "../workflows/definitions.ts";
import { failedImport, isCodeFile } from "./code-file.ts";
import { importAppFile } from "./import-app.ts";

const FOLDER = "workflows";

/** Loads the workflows from the folder's top-level files, by the names that they declare. */
export async function loadWorkflows(root: string, diagnostics: Diagnostic[]): Promise<Definitions> {
  const workflows = new Map<string, LoadedWorkflow>();
  const dir = join(root, FOLDER);
  if (!existsSync(dir)) return workflows;
  for (const name of readdirSync(dir).filter(isCodeFile).toSorted()) {
    const file = relative(root, join(dir, name));
    try {
      const { exports } = await importAppFile(join(dir, name), root);
      const definition = exports["default"];
      const mistake = isWorkflow(definition)
        ? workflows.has(definition.name) && secondOf(definition.name, file)
        : noExport(file);
      if (mistake !== false) diagnostics.push(mistake);
      else if (isWorkflow(definition)) workflows.set(definition.name, { ...definition, file });
    } catch (error) {
      diagnostics.push(failedImport("WORKFLOW_FAILED", join(dir, name), root, error));
    }
  }
  return workflows;
}

function secondOf(name: string, file: string): Diagnostic {
  return errorAt(
    "WORKFLOW_DUPLICATE",
    `Two files define the workflow "${name}".`,
    file,
    "Give each a different name.",
  );
}

function noExport(file: string): Diagnostic {
  return errorAt(
    "WORKFLOW_NO_EXPORT",
    `${file} exports no workflow.`,
    file,
    "End it with `export default workflow(name, async (ctx, { step }) => {...})`; start the name " +
      "of a helper with _.",
  );
}
