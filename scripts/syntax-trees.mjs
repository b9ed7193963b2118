// Provides syntax trees by TypeScript's own parser, without checking types.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API } from "typescript/unstable/sync";

/**
 * Parses files and returns the result of `use` for each: a tree is not valid after this has
 * returned.
 *
 * @template T
 * @param {string} root
 * @param {readonly string[]} files relative to the root
 * @param {(source: import("typescript/unstable/ast").SourceFile) => T} use
 * @returns {Map<string, T>} by file
 */
export function mapSources(root, files, use) {
  const scratch = mkdtempSync(join(tmpdir(), "pylon-trees-"));
  const config = join(scratch, "tsconfig.json");
  const compilerOptions = {
    allowJs: true,
    jsx: "preserve",
    noLib: true,
    noResolve: true,
    types: [],
  };
  writeFileSync(
    config,
    JSON.stringify({ compilerOptions, files: files.map((file) => join(root, file)) }),
  );
  const api = new API({ cwd: root });
  try {
    const [project] = api.updateSnapshot({ openProject: config }).getProjects();
    return new Map(
      files.map((file) => [file, use(project.program.getSourceFile(join(root, file)))]),
    );
  } finally {
    api.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}
