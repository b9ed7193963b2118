/** A location in a manifest: `["entities", 0, "fields", 2]`. */
export type ManifestPath = readonly (string | number)[];

/**
 * The label of an element of a list, given the element's name and the label of the enclosing one.
 */
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
 * The label of a location in a manifest, as the author of the app knows it, for example
 * `Todo.title` or `The policy "own"`.
 *
 * @param manifest possibly malformed; elements without a name are labeled with their number
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

/** A route has a path instead of a name. */
function nameOf(value: unknown): string | undefined {
  const name = partOf(value, "name") ?? partOf(value, "path");
  return typeof name === "string" && name !== "" ? name.slice(0, 80) : undefined;
}
