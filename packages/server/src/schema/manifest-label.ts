/** A place in a manifest: `["entities", 0, "fields", 2]`. */
export type ManifestPath = readonly (string | number)[];

/** What a place in a list is called, given the names of what is around it. */
const LABELS: Readonly<Record<string, (name: string, around: string) => string>> = {
  entities: (name) => name,
  fields: (name, around) => `${around}.${name}`,
  indexes: (name, around) => `The index "${name}" of ${around}`,
  relations: (name, around) => `The relation "${name}" of ${around}`,
  policies: (name) => `The policy "${name}"`,
  routes: (name) => `The route "${name}"`,
  queries: (name) => `The query "${name}"`,
  actions: (name) => `The action "${name}"`,
  plugins: (name) => `The plugin "${name}"`,
};

/**
 * What the author of an app calls a place in its manifest: `Todo.title`, `The policy "own"`.
 *
 * @param manifest malformed perhaps; what has no name is called by its number
 */
export function labelOf(manifest: unknown, path: ManifestPath): string {
  let label = "buildManifest";
  let around = "";
  let value = manifest;
  for (const [index, part] of path.entries()) {
    value = partOf(value, part);
    const list = path[index - 1];
    if (typeof part === "number" && typeof list === "string") {
      const make = LABELS[list];
      if (make === undefined) continue;
      label = make(nameOf(value) ?? `number ${part + 1}`, around);
      around = label;
    } else if (part === "search" && around !== "") label = `The search of ${around}`;
    else if (path[0] === "queues" && index === 1) label = `The queue "${String(part)}"`;
    else if (index === 0) label = String(part);
    else if (path[0] === "auth") label = `${label}.${String(part)}`;
  }
  return label;
}

function partOf(value: unknown, part: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, part) ? Reflect.get(value, part) : undefined;
}

/** A route has a path in place of a name. */
function nameOf(value: unknown): string | undefined {
  const name = partOf(value, "name") ?? partOf(value, "path");
  return typeof name === "string" && name !== "" ? name.slice(0, 80) : undefined;
}
