/** Names of functions by the parts between their dots. */
type Tree = Map<string, string | Tree>;

/**
 * An object literal that contains each name at the path that it spells: `messages.send` at
 * `messages.send`. A name below that of another function is a sibling of it, under its full name.
 */
export function referenceTree(names: readonly string[]): string {
  const functions = new Set(names);
  const tree: Tree = new Map();
  for (const name of names) {
    const path = name.split(".");
    const isBelow = path.some((_, index) => functions.has(path.slice(0, index).join(".")));
    if (isBelow) tree.set(name, name);
    else put(tree, path, name);
  }
  return render(tree, "");
}

/** The name of a member in an object literal or a type. */
export function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}

/** A string as a literal. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

function put(tree: Tree, [part = "", ...rest]: readonly string[], name: string): void {
  if (rest.length === 0) {
    tree.set(part, name);
    return;
  }
  const known = tree.get(part);
  const below: Tree = known instanceof Map ? known : new Map();
  tree.set(part, below);
  put(below, rest, name);
}

function render(tree: Tree, indent: string): string {
  if (tree.size === 0) return "{}";
  const inner = `${indent}  `;
  const members = [...tree].map(
    ([part, node]) =>
      `${inner}${key(part)}: ${typeof node === "string" ? quote(node) : render(node, inner)},\n`,
  );
  return `{\n${members.join("")}${indent}}`;
}
