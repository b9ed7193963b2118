import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The doc comment of an exported declaration. */
export interface DocComment {
  /** Relative to the folder that was searched. */
  readonly file: string;
  /** Of the comment's first line. */
  readonly line: number;
  /** Of the declaration. */
  readonly name: string;
  /** Without the asterisks. */
  readonly text: string;
}

const DECLARATION = new RegExp(
  String.raw`^/\*\*((?:[^*]|\*(?!/))*)\*/\n` +
    String.raw`export (?:declare )?(?:async )?(?:function\*?|class|interface|type|const) (\w+)`,
  "gm",
);

/** The doc comments of all exported declarations below a folder, but for those of tests. */
export function docComments(folder: string): DocComment[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file) && !/\.(test|suite)\.tsx?$/.test(file))
    .toSorted()
    .flatMap((file) => {
      const source = readFileSync(join(folder, file), "utf8");
      return [...source.matchAll(DECLARATION)].map(({ 1: text = "", 2: name = "", index }) => ({
        file,
        line: source.slice(0, index).split("\n").length,
        name,
        text: text.replaceAll(/^ *\* ?/gm, "").trim(),
      }));
    });
}

/** The code of a comment's examples: what follows `@example` up to the next tag. */
export function examplesOf({ text }: DocComment): string[] {
  return text
    .split(/^(?=@\w+)/m)
    .filter((part) => part.startsWith("@example"))
    .map((part) => part.slice("@example".length).trim());
}
