// npm run words: finds phrases that are not plain English in texts for users. Searches the string
// literals and JSX texts of the packages, and the pages of docs/; for some phrases all code,
// including comments and titles of tests. `--root DIR` searches another folder. words.test.ts
// requires that it finds none.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { SyntaxKind } from "typescript/unstable/ast";
import { idiomIn, idiomInCode } from "./idioms.mjs";
import { root as here } from "./install.mjs";
import { mapSources } from "./syntax-trees.mjs";
import { filesBelow } from "./test-files.mjs";

/** The texts of a template are between its expressions. */
const TEXTS = new Set([
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
  SyntaxKind.JsxText,
]);

/** Files that list the phrases. */
const LISTS = new Set(["scripts/idioms.mjs", "scripts/words.test.ts"]);

const { values } = parseArgs({ options: { root: { type: "string", default: here } } });
const findings = find(resolve(values.root));
for (const { file, line, phrase, instead } of findings)
  process.stdout.write(`${file}:${line}: "${phrase.replaceAll(/\s+/g, " ")}": write ${instead}\n`);
process.exitCode = findings.length === 0 ? 0 : 1;

function find(root) {
  const files = [...filesBelow(root, "")].toSorted();
  const sources = files.filter(
    (file) =>
      /^packages\/[^/]+\/(src|bin)\/.*\.(tsx?|mjs|js)$/.test(file) &&
      !/\.(test|suite)\.tsx?$|\/testing\//.test(file),
  );
  const pages = files.filter((file) => /^(docs\/.*|README)\.md$/.test(file));
  const code = files.filter(
    (file) => /\.(tsx?|mts|mjs|js|lua|sql)$/.test(file) && !LISTS.has(file),
  );
  const found = [
    ...textsOfSources(root, sources).flatMap((text) => findingsIn(text, idiomIn)),
    ...pages.flatMap((file) => findingsIn(page(root, file), idiomIn)),
    ...code.flatMap((file) => findingsIn(page(root, file), idiomInCode)),
  ];
  return [...new Map(found.map((one) => [`${one.file} ${one.line} ${one.phrase}`, one])).values()];
}

function findingsIn({ file, line, text }, firstIn) {
  return idiomsOf(text, firstIn).map((idiom) => ({ ...idiom, file, line: line + idiom.line }));
}

/** A page is one text, so that a phrase may span several lines. */
function page(root, file) {
  return { file, line: 1, text: readFileSync(join(root, file), "utf8") };
}

/** One result per place; `line` is counted from the first line of the text. */
function idiomsOf(text, firstIn) {
  const found = [];
  for (let from = 0; ;) {
    const idiom = firstIn(text.slice(from));
    if (idiom === null) return found;
    const at = from + idiom.index;
    found.push({ ...idiom, line: text.slice(0, at).split("\n").length - 1 });
    from = at + idiom.phrase.length;
  }
}

function textsOfSources(root, files) {
  return [...mapSources(root, files, textsOf)].flatMap(([file, texts]) =>
    texts.map((text) => ({ ...text, file })),
  );
}

function textsOf(source) {
  const texts = [];
  const visit = (node) => {
    if (node.kind === SyntaxKind.ImportDeclaration || node.kind === SyntaxKind.ExportDeclaration)
      return;
    if (isJoined(node)) texts.push(textOf(node, source));
    else {
      if (TEXTS.has(node.kind)) texts.push(textOf(node, source));
      node.forEachChild(visit);
    }
  };
  source.forEachChild(visit);
  return texts;
}

function textOf(node, source) {
  const start = node.getStart(source);
  return {
    line: source.getLineAndCharacterOfPosition(start).line + 1,
    text: source.text.slice(start, node.end).replaceAll(/(["'`]) \+(\s+)["'`]/g, "$2"),
  };
}

/** `"..." + "..."`, where a phrase may span both parts. */
function isJoined(node) {
  return (
    node.kind === SyntaxKind.BinaryExpression &&
    node.operatorToken.kind === SyntaxKind.PlusToken &&
    (TEXTS.has(node.right.kind) || node.right.kind === SyntaxKind.TemplateExpression)
  );
}
