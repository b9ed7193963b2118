import { QuerySyntaxError } from "./errors.ts";

export interface Token {
  readonly type: "name" | "number" | "string" | "symbol" | "end";
  readonly text: string;
  /** Offset in the source. */
  readonly at: number;
}

const PATTERN =
  /\s*(?:(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<number>-?\d+(?:\.\d+)?)|(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<symbol>\|\||&&|==|!=|<=|>=|[<>!().,[\]]))/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
]);

/** Splits a policy into tokens; the last one is `end`. @throws QuerySyntaxError */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  const end = source.trimEnd().length;
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < end) {
    const start = PATTERN.lastIndex;
    const match = PATTERN.exec(source);
    if (match?.groups === undefined) {
      const at = start + (source.slice(start).match(/^\s*/)?.[0].length ?? 0);
      throw new QuerySyntaxError(source, at, `"${source[at] ?? ""}" has no meaning`);
    }
    const [type, raw] = Object.entries(match.groups).find(([, text]) => text !== undefined) as [
      Token["type"],
      string,
    ];
    tokens.push({
      type,
      text: type === "string" ? unquote(raw) : raw,
      at: match.index + match[0].length - raw.length,
    });
  }
  tokens.push({ type: "end", text: "", at: end });
  return tokens;
}

function unquote(raw: string): string {
  return raw
    .slice(1, -1)
    .replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, code: string | undefined, letter: string) =>
      code === undefined
        ? (ESCAPES.get(letter) ?? letter)
        : String.fromCharCode(Number.parseInt(code, 16)),
    );
}
