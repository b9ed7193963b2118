import type { HttpDefinition } from "@pylonsync/functions";
import { errorAt, type Diagnostic } from "../schema/diagnostic.ts";

/** The prefix of HTTP functions that declare no path. */
export const HTTP_PREFIX = "/api/http/";
/** The first path segments that are reserved for the server. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["api", "auth", "events", "health", "mcp", "metrics", "readyz", "shards", "studio", "ws"],
  "__pylon",
]);

/** The HTTP functions of an app by name. */
export type HttpFunctions = ReadonlyMap<string, HttpDefinition>;

/** The HTTP function that matches a request. */
export interface FoundHttp {
  readonly name: string;
  readonly definition: HttpDefinition;
  readonly params: Readonly<Record<string, string>>;
}

/** What tools show of an HTTP function. */
export interface HttpRoute {
  readonly name: string;
  /** `GET, POST`, or `any method`. */
  readonly methods: string;
  readonly path: string;
  readonly auth: NonNullable<HttpDefinition["auth"]>;
  /** Whether it accepts the session cookie. */
  readonly cookies: boolean;
}

interface Entry {
  readonly name: string;
  readonly definition: HttpDefinition;
  readonly parts: readonly string[];
}

/** The HTTP functions of an app by path. */
export class HttpTable {
  readonly #entries: readonly Entry[];

  /** @param functions the functions, whose paths were validated */
  constructor(functions: HttpFunctions) {
    this.#entries = [...functions]
      .map(([name, definition]) => ({ name, definition, parts: partsOf(pathOf(name, definition)) }))
      .toSorted((a, b) => precedence(a.parts, b.parts));
  }

  /** The names, methods, paths and callers of all functions, the most specific paths first. */
  get routes(): readonly HttpRoute[] {
    return this.#entries.map(({ name, definition }) => ({
      name,
      methods: definition.method === "*" ? "any method" : [definition.method].flat().join(", "),
      path: pathOf(name, definition),
      auth: definition.auth ?? "public",
      cookies: definition.cookies === true,
    }));
  }

  /**
   * Returns the functions that match the path, the most specific one first. Several functions may
   * have the same path with different methods.
   */
  at(path: string): readonly FoundHttp[] {
    if (this.#entries.length === 0) return [];
    const asked = partsOf(path);
    let first: readonly string[] | undefined;
    const found: FoundHttp[] = [];
    for (const { name, definition, parts } of this.#entries) {
      if (first !== undefined && shapeOf(parts) !== shapeOf(first)) continue;
      const params = paramsOf(parts, asked);
      if (params === null) continue;
      first ??= parts;
      found.push({ name, definition, params });
    }
    return found;
  }
}

/** Whether the function accepts the method. HEAD counts as GET. */
export function takes({ method: declared }: HttpDefinition, method: string): boolean {
  if (declared === "*") return true;
  const asked = method === "HEAD" ? "GET" : method;
  return [declared].flat().some((known) => known === asked);
}

/** Returns the errors that prevent the HTTP functions of an app from being served. */
export function checkHttpPaths(
  functions: HttpFunctions,
  files: ReadonlyMap<string, string>,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const seen: { readonly name: string; readonly definition: HttpDefinition; shape: string }[] = [];
  for (const [name, definition] of functions) {
    const path = pathOf(name, definition);
    const file = files.get(name) ?? `functions.${name}`;
    const [first = ""] = partsOf(path);
    if (RESERVED.has(first) && !path.startsWith(HTTP_PREFIX))
      diagnostics.push(
        errorAt(
          "HTTP_PATH_RESERVED",
          `The HTTP function "${name}" can't use ${path}: /${first} is reserved for the server.`,
          file,
          `Choose a path under ${HTTP_PREFIX}, or another first segment.`,
        ),
      );
    const shape = shapeOf(partsOf(path));
    const other = seen.find((known) => known.shape === shape && overlap(known, definition));
    if (other !== undefined)
      diagnostics.push(
        errorAt(
          "HTTP_PATH_DUPLICATE",
          `The HTTP functions "${other.name}" and "${name}" handle the same requests at ${path}.`,
          file,
          "Give one of them a different path or different methods.",
        ),
      );
    seen.push({ name, definition, shape });
  }
  return diagnostics;
}

function overlap({ definition }: { readonly definition: HttpDefinition }, other: HttpDefinition) {
  const methods = [other.method].flat();
  return definition.method === "*" || methods.some((one) => one === "*" || takes(definition, one));
}

function pathOf(name: string, { path }: HttpDefinition): string {
  return path ?? HTTP_PREFIX + name.replaceAll(".", "/");
}

function partsOf(path: string): string[] {
  return path.replace(/^\//, "").replace(/\/$/, "").split("/");
}

/** Returns the same text for paths that match the same requests. */
function shapeOf(parts: readonly string[]): string {
  return parts.map((part) => (part.startsWith(":") ? ":" : part)).join("/");
}

/** Orders literal segments before parameters, and parameters before the rest parameter. */
function precedence(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = rank(a[index]) - rank(b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rank(part: string | undefined): number {
  if (part === "*") return 2;
  return part?.startsWith(":") === true ? 1 : 0;
}

/** Returns the parameters of the path; null if the path does not match. */
function paramsOf(
  parts: readonly string[],
  asked: readonly string[],
): Readonly<Record<string, string>> | null {
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    if (part === "*") {
      const rest = decoded(asked.slice(index).join("/"));
      return rest === null ? null : { ...params, "*": rest };
    }
    const given = asked[index];
    if (given === undefined) return null;
    const value = decoded(given);
    if (value === null || (part.startsWith(":") ? value === "" : value !== part)) return null;
    if (part.startsWith(":")) params[part.slice(1)] = value;
  }
  return parts.length === asked.length ? params : null;
}

/** Returns null for a segment with invalid encoding or a character that names can't contain. */
function decoded(text: string): string | null {
  try {
    const value = decodeURIComponent(text);
    return value.includes("\0") ? null : value;
  } catch {
    return null;
  }
}
