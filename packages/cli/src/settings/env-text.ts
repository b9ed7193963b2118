/** A line that gives a variable its value; text in quotes may go over several. */
const ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=([ \t]*)(?:(["'`])([^]*?)\3[ \t]*(?:#.*)?$|(.*)$)/gm;

/**
 * The variables of a file such as `.env`, as Node's `parseEnv` reads them but for one thing: a `#`
 * begins a comment only after a space, as for Docker Compose. Otherwise the password of
 * `postgres://app:p#ss@host/db` would be cut off without a word.
 */
export function parseEnvText(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [, name = "", space = "", quote, quoted = "", plain = ""] of text
    .replaceAll("\r\n", "\n")
    .matchAll(ASSIGNMENT)) {
    if (quote === undefined) values[name] = withoutComment(space + plain);
    else values[name] = quote === '"' ? quoted.replaceAll("\\n", "\n") : quoted;
  }
  return values;
}

function withoutComment(text: string): string {
  return text.replace(/\s#.*$/, "").trim();
}
