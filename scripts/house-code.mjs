// Computes the numbers of `npm run house` from the syntax tree of TypeScript's own parser: a text
// search would also count the contents of strings and comments.
import { SyntaxKind } from "typescript/unstable/ast";
import { mapSources } from "./syntax-trees.mjs";

const MAX_FUNCTION_LINES = 60;
/** Global functions that access time, the clock or randomness of the machine. */
const DIRECT_CALLS = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "Date.now",
  "performance.now",
  "process.hrtime",
  "process.hrtime.bigint",
  "Bun.nanoseconds",
  "Bun.sleep",
  "Bun.randomUUIDv7",
  "AbortSignal.timeout",
  "Math.random",
  "crypto.randomUUID",
  "crypto.getRandomValues",
]);
/** The same from modules, by module. */
const DIRECT_IMPORTS = new Map([
  ["node:crypto", new Set(["randomBytes", "randomInt", "randomUUID", "randomFillSync"])],
  ["node:timers", new Set(["setTimeout", "setInterval", "setImmediate"])],
  ["node:timers/promises", new Set(["setTimeout", "setInterval", "setImmediate", "scheduler"])],
]);
const FUNCTIONS = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);
/** Nodes whose text may look like a comment. */
const TEXTS = new Set([
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.JsxText,
]);
const DECLARATIONS = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.ClassDeclaration,
  SyntaxKind.InterfaceDeclaration,
  SyntaxKind.TypeAliasDeclaration,
  SyntaxKind.EnumDeclaration,
  SyntaxKind.VariableStatement,
]);

/**
 * @typedef {object} Counts of one file
 * @property {number} lines
 * @property {number} over100 lines of more than 100 columns
 * @property {number} over120
 * @property {number} commentLines lines with only a comment
 * @property {number} codeLines lines that are neither empty nor comments
 * @property {number} longFunctions of more than 60 lines; lists of tests do not count
 * @property {number} as type assertions, except `as const`
 * @property {number} asUnknownAs
 * @property {number} any
 * @property {number} nonNull `x!`, and properties declared with `!`
 * @property {number} exports declarations with `export` in front
 * @property {number} bareExports those without a doc comment
 * @property {number} direct uses of timers, the clock and chance
 */

/**
 * Parses files, without checking types.
 *
 * @param {string} root
 * @param {readonly string[]} files relative to the root
 * @returns {Map<string, Counts>} by file
 */
export function countCode(root, files) {
  return mapSources(root, files, countsOf);
}

/** @returns {Counts} */
function countsOf(source) {
  const lines = source.text.split("\n");
  const counts = {
    lines: lines.length - (lines.at(-1) === "" ? 1 : 0),
    over100: lines.filter((line) => line.length > 100).length,
    over120: lines.filter((line) => line.length > 120).length,
    commentLines: 0,
    codeLines: 0,
    longFunctions: 0,
    as: 0,
    asUnknownAs: 0,
    any: 0,
    nonNull: 0,
    exports: 0,
    bareExports: 0,
    direct: 0,
  };
  const texts = [];
  const visit = (node) => {
    countNode(node, source, counts);
    if (TEXTS.has(node.kind)) texts.push([node.getStart(source), node.end]);
    node.forEachChild(visit);
  };
  source.forEachChild(visit);
  countExports(source, counts);
  countCommentLines(source.text, texts, counts);
  return counts;
}

function countNode(node, source, counts) {
  if (isLongFunction(node, source)) counts.longFunctions += 1;
  switch (node.kind) {
    case SyntaxKind.AsExpression:
    case SyntaxKind.TypeAssertionExpression:
      if (node.type.getText(source) === "const") break;
      counts.as += 1;
      if (isToUnknown(node.expression)) counts.asUnknownAs += 1;
      break;
    case SyntaxKind.AnyKeyword:
      counts.any += 1;
      break;
    case SyntaxKind.NonNullExpression:
      counts.nonNull += 1;
      break;
    case SyntaxKind.PropertyDeclaration:
    case SyntaxKind.VariableDeclaration:
      if ((node.exclamationToken ?? node.postfixToken)?.kind === SyntaxKind.ExclamationToken)
        counts.nonNull += 1;
      break;
    case SyntaxKind.CallExpression:
      if (DIRECT_CALLS.has(node.expression.getText(source))) counts.direct += 1;
      break;
    case SyntaxKind.NewExpression:
      if (node.expression.getText(source) === "Date" && (node.arguments ?? []).length === 0)
        counts.direct += 1;
      break;
    case SyntaxKind.ImportDeclaration:
      counts.direct += directImports(node, source);
      break;
    default:
  }
}

/**
 * The callback of a `describe` is a list of tests and not a function: its lines count neither for
 * itself nor for enclosing functions. The tests in it count, each separately.
 */
function isLongFunction(node, source) {
  if (!FUNCTIONS.has(node.kind) || isListOfTests(node, source)) return false;
  const lines = linesOf(node, source);
  return lines > MAX_FUNCTION_LINES && lines - linesOfLists(node, source) > MAX_FUNCTION_LINES;
}

function isListOfTests(node, source) {
  const { parent } = node;
  return (
    parent?.kind === SyntaxKind.CallExpression &&
    parent.arguments.includes(node) &&
    /^describe\b/.test(parent.expression.getText(source))
  );
}

/** The lines of the outermost lists of tests within a node. */
function linesOfLists(node, source) {
  let lines = 0;
  const visit = (child) => {
    if (isListOfTests(child, source)) lines += linesOf(child, source);
    else child.forEachChild(visit);
  };
  node.forEachChild(visit);
  return lines;
}

function linesOf(node, source) {
  const lineAt = (position) => source.getLineAndCharacterOfPosition(position).line;
  return lineAt(node.end) - lineAt(node.getStart(source)) + 1;
}

function isToUnknown(expression) {
  let inner = expression;
  while (inner.kind === SyntaxKind.ParenthesizedExpression) inner = inner.expression;
  return inner.kind === SyntaxKind.AsExpression && inner.type.kind === SyntaxKind.UnknownKeyword;
}

function directImports(node, source) {
  const names = DIRECT_IMPORTS.get(node.moduleSpecifier.text);
  const elements = node.importClause?.namedBindings?.elements ?? [];
  return elements.filter((element) =>
    names?.has((element.propertyName ?? element.name).getText(source)),
  ).length;
}

/** Overloads of a function count as one declaration: the first one has the comment. */
function countExports(source, counts) {
  const seen = new Set();
  for (const statement of source.statements) {
    const isExported = statement.modifiers?.some(({ kind }) => kind === SyntaxKind.ExportKeyword);
    if (!isExported || !DECLARATIONS.has(statement.kind)) continue;
    const name = statement.name?.getText(source);
    if (statement.kind === SyntaxKind.FunctionDeclaration && seen.has(name)) continue;
    seen.add(name);
    counts.exports += 1;
    if ((statement.jsDoc ?? []).length === 0) counts.bareExports += 1;
  }
}

function countCommentLines(text, literals, counts) {
  const characters = [...Array(text.length).keys()].map((index) => text[index]);
  for (const [start, end] of literals)
    for (let index = start; index < end; index += 1)
      if (characters[index] !== "\n") characters[index] = "x";
  const withLiterals = characters.join("");
  const bare = withLiterals.replaceAll(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (comment) =>
    comment.replaceAll(/[^\n]/g, " "),
  );
  const original = withLiterals.split("\n");
  for (const [index, line] of bare.split("\n").entries()) {
    if (line.trim() !== "") counts.codeLines += 1;
    else if (original[index].trim() !== "") counts.commentLines += 1;
  }
}
