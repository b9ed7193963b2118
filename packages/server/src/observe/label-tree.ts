interface Node<T> {
  readonly next: Map<string, Node<T>>;
  found: T | undefined;
}

/** Finds the series of a set of label values. Joining them to a key would cost more time. */
export class LabelTree<T> {
  readonly #root: Node<T> = { next: new Map(), found: undefined };
  readonly #all: T[] = [];
  readonly #make: (values: readonly string[]) => T;

  /** @param make creates the series when its label values are first used */
  constructor(make: (values: readonly string[]) => T) {
    this.#make = make;
  }

  /** @param values the values of the labels, always the same number */
  of(values: readonly string[]): T {
    let node = this.#root;
    for (const value of values) {
      let next = node.next.get(value);
      if (next === undefined) {
        next = { next: new Map(), found: undefined };
        node.next.set(value, next);
      }
      node = next;
    }
    if (node.found === undefined) {
      node.found = this.#make(values);
      this.#all.push(node.found);
    }
    return node.found;
  }

  /** All series, in the order of first use. */
  get all(): readonly T[] {
    return this.#all;
  }
}
