// node scripts/imports.mjs [--root DIR]: prints as JSON the imports in the sources of all packages,
// including types and dynamic imports. layers.ts defines which are allowed.
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { SyntaxKind } from "typescript/unstable/ast";
import { root as here } from "./install.mjs";
import { mapSources } from "./syntax-trees.mjs";
import { filesBelow } from "./test-files.mjs";

const { values } = parseArgs({ options: { root: { type: "string", default: here } } });
process.stdout.write(`${JSON.stringify(importsOf(resolve(values.root)))}\n`);

/** @returns {import("./layers.ts").Import[]} */
function importsOf(root) {
  const files = readdirSync(join(root, "packages"))
    .flatMap((name) => [...filesBelow(root, `packages/${name}`)])
    .filter(isSource);
  const found = mapSources(root, files, specifiersOf);
  return files.flatMap((file) => found.get(file).map((at) => ({ file, ...at })));
}

function isSource(file) {
  return (
    /^packages\/[^/]+\/(src|bin)\/.*\.(ts|tsx|mts|mjs|js)$/.test(file) &&
    !/\.(test|suite|arbitraries)\.tsx?$|\/testing\//.test(file)
  );
}

function specifiersOf(source) {
  const found = [];
  const visit = (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined)
      found.push({
        line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1,
        specifier,
      });
    node.forEachChild(visit);
  };
  source.forEachChild(visit);
  return found;
}

/**
 * What a node imports: a module by name, or a file relative to this one, such as a worker in `new
 * URL`.
 */
function specifierOf(node) {
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration:
    case SyntaxKind.ExportDeclaration:
      return node.moduleSpecifier?.text;
    case SyntaxKind.ImportType:
      return node.argument.literal?.text;
    case SyntaxKind.CallExpression:
      return node.expression.kind === SyntaxKind.ImportKeyword ? textOf(node) : undefined;
    case SyntaxKind.NewExpression:
      return node.expression.text === "URL" && /^\.{1,2}\//.test(textOf(node) ?? "")
        ? textOf(node)
        : undefined;
    default:
      return undefined;
  }
}

function textOf({ arguments: given }) {
  const [first] = given ?? [];
  return first?.kind === SyntaxKind.StringLiteral ||
    first?.kind === SyntaxKind.NoSubstitutionTemplateLiteral
    ? first.text
    : undefined;
}
