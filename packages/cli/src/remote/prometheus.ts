/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g;

/** The samples of a text; comments and invalid lines are omitted. */
export function parsePrometheus(text: string): Sample[] {
  return text.split("\n").flatMap((line): Sample[] => {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const found = [...labels.matchAll(LABEL)].map(
      ([, label = "", content = ""]): [string, string] => [
        label,
        content.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped)),
      ],
    );
    return [
      {
        name,
        labels: Object.fromEntries(found),
        value: value === "+Inf" ? Infinity : Number(value),
      },
    ];
  });
}

/** The values of a set of samples, and their differences to another one. */
export class Scrape {
  readonly #samples: ReadonlyMap<string, readonly Sample[]>;

  constructor(samples: readonly Sample[]) {
    this.#samples = Map.groupBy(samples, ({ name }) => name);
  }

  all(name: string): readonly Sample[] {
    return this.#samples.get(name) ?? [];
  }

  /** The sum over all matching labels; null if there is no such sample. */
  sum(name: string, fits: (labels: Sample["labels"]) => boolean = () => true): number | null {
    const found = this.all(name).filter(({ labels }) => fits(labels));
    return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
  }

  /**
   * The value below which a share of a histogram's observations are, interpolated within its bucket
   * as Prometheus does it.
   *
   * @param before only observations since then count
   * @returns null if there are none; the highest bound for values above it
   */
  quantile(name: string, share: number, before?: Scrape): number | null {
    const earlier = before === undefined ? new Map<number, number>() : before.#buckets(name);
    const buckets = [...this.#buckets(name)]
      .map(([bound, count]) => ({ bound, count: count - (earlier.get(bound) ?? 0) }))
      .toSorted((a, b) => a.bound - b.bound);
    const total = buckets.at(-1)?.count ?? 0;
    if (total <= 0) return null;
    const rank = share * total;
    const at = buckets.findIndex(({ count }) => count >= rank);
    const [bucket, below] = [buckets[at], buckets[at - 1] ?? { bound: 0, count: 0 }];
    if (bucket === undefined || bucket.bound === Infinity) return below.bound;
    return (
      below.bound +
      ((bucket.bound - below.bound) * (rank - below.count)) / (bucket.count - below.count)
    );
  }

  #buckets(name: string): Map<number, number> {
    const counts = new Map<number, number>();
    for (const { labels, value } of this.all(`${name}_bucket`)) {
      const bound = labels["le"] === "+Inf" ? Infinity : Number(labels["le"]);
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return counts;
  }
}
