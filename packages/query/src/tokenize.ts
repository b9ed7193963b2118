import { QuerySyntaxError } from "./errors.ts";

/** One word, literal or symbol of a policy. */
export interface Token {
  readonly type: "name" | "number" | "string" | "symbol" | "end";
  readonly text: string;
  /** Offset in the source. */
  readonly at: number;
}

/** The pattern of each type of token. */
const PATTERNS: Readonly<Record<Exclude<Token["type"], "end">, RegExp>> = {
  name: /[A-Za-z_][A-Za-z0-9_]*/,
  number: /-?\d+(?:\.\d+)?/,
  string: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/,
  symbol: /\|\||&&|==|!=|<=|>=|[<>!().,[\]]/,
};
const TYPES = ["name", "number", "string", "symbol"] as const;
const PATTERN = new RegExp(
  `\\s*(?:${TYPES.map((type) => `(?<${type}>${PATTERNS[type].source})`).join("|")})`,
  "y",
);
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
    const type = TYPES.find((name) => match?.groups?.[name] !== undefined);
    const raw = type === undefined ? undefined : match?.groups?.[type];
    if (match === null || type === undefined || raw === undefined) {
      const at = start + (source.slice(start).match(/^\s*/)?.[0].length ?? 0);
      throw new QuerySyntaxError(source, at, `"${source[at] ?? ""}" is not valid here`);
    }
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
