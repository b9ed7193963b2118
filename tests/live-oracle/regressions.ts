import type { Scenario, Step, Write } from "./scenario.ts";

const row = (entity: string, index: number, a: string, n: number, owner = 0): Write => ({
  entity,
  row: index,
  values: { a, b: null, n, owner },
});
const leading = (entity: string, index: number, to: string): Write => ({
  entity,
  row: index,
  values: { a: "x", b: null, n: 0, owner: 0, to },
});
const all = (entity: string) => ({ entity, where: {}, order: undefined, limit: undefined });

/** A client returns while rows that its query includes are changing. */
const returning = (round: number): Step => ({
  kind: "away",
  client: 0,
  user: null,
  cursor: "exact",
  transactions: [],
  meanwhile: [0, 1, 0, 1].map((index, step) => [row("Beta", index, "x", (round + step) % 4)]),
});

/** Bugs that were found once. Each scenario failed on the code of its time. */
export const REGRESSIONS: readonly Scenario[] = [
  // L1: two `exists` over one entity were rewound one at a time.
  {
    policies: [
      "exists(Beta, a == data.a && n == 1) && exists(Beta, a == data.a && n == 2)",
      "true",
      "true",
    ],
    queries: [all("Alpha")],
    steps: [
      { kind: "commit", transactions: [[row("Alpha", 0, "x", 0)], [row("Beta", 0, "x", 1)]] },
      { kind: "commit", transactions: [[row("Beta", 1, "x", 2)]] },
      { kind: "commit", transactions: [[row("Beta", 0, "x", 2), row("Beta", 1, "x", 1)]] },
      { kind: "commit", transactions: [[{ entity: "Beta", row: 1, values: null }]] },
    ],
  },
  // L2: a returning client was sent past versions of rows.
  {
    policies: ["data.owner == auth.userId", "true", "true"],
    queries: [all("Alpha"), { ...all("Alpha"), order: { n: "asc" }, limit: 2 }],
    steps: [
      { kind: "commit", transactions: [[row("Alpha", 0, "x", 0)]] },
      {
        kind: "away",
        client: 0,
        user: null,
        cursor: "exact",
        transactions: [[row("Alpha", 0, "y", 1)], [row("Alpha", 0, "z", 2, 1)]],
      },
      {
        kind: "away",
        client: 0,
        user: null,
        cursor: "older",
        transactions: [[row("Alpha", 0, "x", 3, 0)], [row("Alpha", 1, "y", 1, 0)]],
      },
    ],
  },
];

/**
 * Changes that are committed while included rows are read. How many commits overlap the reads
 * depends on timing, so the scenario repeats it.
 */
export const RETURNS: Scenario = {
  policies: ["true", "true", "true"],
  queries: [{ ...all("Alpha"), include: { toBeta: {} } }],
  steps: [
    {
      kind: "commit",
      transactions: [
        [
          row("Beta", 0, "x", 3),
          row("Beta", 1, "x", 3),
          leading("Alpha", 0, "beta0"),
          leading("Alpha", 1, "beta1"),
        ],
      ],
    },
    ...Array.from({ length: 12 }, (_, round) => returning(round)),
  ],
};

const away = (transactions: readonly (readonly Write[])[]): Step => ({
  kind: "away",
  client: 0,
  user: null,
  cursor: "exact",
  transactions,
});

/** Scenarios written by hand, for what generated ones seldom meet. */
export const HAND_WRITTEN: readonly (readonly [name: string, scenario: Scenario])[] = [
  [
    "a returning client receives the first change that it missed",
    {
      policies: ["true", "true", "true"],
      queries: [all("Alpha")],
      steps: [
        { kind: "commit", transactions: [[row("Alpha", 0, "x", 0)]] },
        away([[row("Alpha", 0, "y", 1)]]),
        away([[{ entity: "Alpha", row: 0, values: null }]]),
      ],
    },
  ],
  [
    "a returning client loses the rows that it may no longer read",
    {
      policies: ["exists(Beta, a == data.a)", "true", "true"],
      queries: [all("Alpha")],
      steps: [
        { kind: "commit", transactions: [[row("Alpha", 0, "x", 0), row("Beta", 0, "x", 0)]] },
        away([[{ entity: "Beta", row: 0, values: null }]]),
        away([[row("Beta", 1, "x", 0)]]),
      ],
    },
  ],
];
