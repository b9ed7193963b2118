/** A line that assigns a variable; quoted text may span several lines. */
const ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=([ \t]*)(?:(["'`])([^]*?)\3[ \t]*(?:#.*)?$|(.*)$)/gm;

/**
 * Parses the variables of a file such as `.env`, like Node's `parseEnv` with one exception: a `#`
 * begins a comment only after a space, as for Docker Compose. Otherwise the password of
 * `postgres://app:p#ss@host/db` would be truncated silently.
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
