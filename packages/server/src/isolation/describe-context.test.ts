import { expect, test } from "bun:test";
import { ContextShape, isAuthWatched } from "./describe-context.ts";

class Log {
  readonly lines: string[] = [];
  info(line: string): void {
    this.lines.push(line);
  }
}

function contextOf(now: number): Readonly<Record<string, unknown>> {
  const rows = [`row of ${now}`];
  return {
    auth: { userId: "ann" },
    now,
    job: null,
    log: new Log(),
    db: { get: (index: number) => rows[index] },
    runQuery: (name: string) => `${name} at ${now}`,
  };
}

test("the data of a context is sent, and its methods are listed", () => {
  const shape = ContextShape.of(contextOf(1));
  expect(shape.dataOf(contextOf(2))).toEqual({ now: 2, job: null });
  expect(shape.methods).toEqual(["log.info", "db.get", "runQuery"]);
});

test("a member with methods and data is both, also after a context in which it was null", () => {
  const job = { id: "j1", attempt: 2, batch: null, setProgress: () => "set" };
  const [without, within] = [contextOf(1), { ...contextOf(2), job }];
  expect(ContextShape.of(without).methods).not.toContain("job.setProgress");
  const shape = ContextShape.of(within);
  expect(shape.methodOf(within, "job.setProgress")?.()).toBe("set");
  expect(shape.dataOf(within)).toEqual({ now: 2, job: { id: "j1", attempt: 2, batch: null } });
  expect(ContextShape.of(contextOf(3)).dataOf(contextOf(3))).toEqual({ now: 3, job: null });
});

test("contexts with the same members share a shape, and each has its own methods", () => {
  const [first, second] = [contextOf(1), contextOf(2)];
  const shape = ContextShape.of(first);
  expect(ContextShape.of(second)).toBe(shape);
  expect(shape.methodOf(first, "db.get")?.(0)).toBe("row of 1");
  expect(shape.methodOf(second, "db.get")?.(0)).toBe("row of 2");
  expect(shape.methodOf(second, "runQuery")?.("count")).toBe("count at 2");
  shape.methodOf(second, "log.info")?.("done");
  expect((second["log"] as Log).lines).toEqual(["done"]);
});

test("only the listed methods can be called", () => {
  const context = contextOf(1);
  const shape = ContextShape.of(context);
  for (const path of ["db", "now", "auth.userId", "log.constructor", "db.get.call", "toString"])
    expect(shape.methodOf(context, path)).toBeUndefined();
});

test("the server is notified of reads of ctx.auth only if reading it has a side effect", () => {
  expect(isAuthWatched(contextOf(1))).toBe(false);
  expect(isAuthWatched(Object.defineProperty({}, "auth", { get: () => null }))).toBe(true);
});
