import { expect, test } from "bun:test";
import { dataMigration, isDataMigration } from "./data-migration.ts";

test("a data migration has one of two forms, and other copies of the package recognize it", () => {
  const each = (): null => null;
  expect(isDataMigration(dataMigration({ entity: "Task", each }))).toBe(true);
  expect(isDataMigration(dataMigration({ run: each }))).toBe(true);
  expect(isDataMigration({ run: each })).toBe(false);
  const wrong: readonly (readonly [unknown, string])[] = [
    [null, "A data migration is null"],
    [{ entity: "Task" }, "either an entity and each, or run"],
    [{ entity: "Task", each, run: each }, "either an entity and each, or run"],
    [{ each }, "either an entity and each, or run"],
    [{ entiy: "Task", each }, 'no option "entiy". Did you mean "entity"?'],
  ];
  for (const [definition, message] of wrong)
    expect(() => dataMigration(definition as never)).toThrow(message);
});
