import type { Family } from "../check.ts";
import { fourTasks } from "./query.ts";

/** Counts and sums. */
export const aggregate: Family = {
  "numbers of all rows that match": async (wire) => {
    const where = { group: await fourTasks(wire) };
    const ask = { where, count: true, sum: ["rank"], avg: ["rank"], min: ["price"], max: ["due"] };
    await wire.ann.expect(["POST", "/api/aggregate/Task", ask], 200, {
      rows: [
        {
          count: 4,
          sum_rank: 10,
          avg_rank: 2.5,
          min_price: 0.5,
          max_due: "2026-02-04T00:00:00.000Z",
        },
      ],
    });
  },
  "a count of a field counts values, countDistinct each value once": async (wire) => {
    const where = { group: await fourTasks(wire) };
    const ask = { where, count: "price", countDistinct: ["done"] };
    await wire.ann.expect(["POST", "/api/aggregate/Task", ask], 200, {
      rows: [{ count_price: 2, countDistinct_done: 2, count_distinct_done: 2 }],
    });
  },
  "groups by a field, in an order": async (wire) => {
    const where = { group: await fourTasks(wire) };
    const ask = { where, count: true, groupBy: ["done"], order: { count: "desc" } };
    await wire.ann.expect(["POST", "/api/aggregate/Task", ask], 200, {
      rows: [
        { done: false, count: 3 },
        { done: true, count: 1 },
      ],
    });
  },
  "groups by a month, under both names": async (wire) => {
    const where = { group: await fourTasks(wire) };
    const groupBy = [{ field: "due", bucket: "month" }];
    await wire.ann.expect(["POST", "/api/aggregate/Task", { where, count: true, groupBy }], 200, {
      rows: [
        { due: "2026-01-01T00:00:00.000Z", due_month: "2026-01", count: 3 },
        { due: "2026-02-01T00:00:00.000Z", due_month: "2026-02", count: 1 },
      ],
    });
  },
  "the rows of others are not counted": async (wire) => {
    const where = { group: await fourTasks(wire) };
    await wire.bob.expect(["POST", "/api/aggregate/Task", { where, count: true }], 200, {
      rows: [{ count: 0 }],
    });
  },
  "a sum of a text is refused": async ({ ann }) => {
    await ann.refused(["POST", "/api/aggregate/Task", { sum: ["title"] }], 400, {
      code: "INVALID_QUERY",
    });
  },
};
