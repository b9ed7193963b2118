import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { sqliteTexts } from "./texts.ts";

test("a database that was locked at first is used once it is unlocked", async () => {
  using database = new Database(":memory:");
  let isLocked = true;
  const texts = sqliteTexts({
    execAsync: async (sql) => {
      if (isLocked) throw new Error("database is locked");
      database.run(sql);
    },
    runAsync: async (sql, params) => database.query(sql).run(...params),
    getAllAsync: async <T>(sql: string, params: string[]) =>
      database.query<T, string[]>(sql).all(...params),
  });
  expect(await texts.keys("a").catch(String)).toBe("Error: database is locked");
  isLocked = false;
  await texts.write([["a:1", "one"]]);
  expect(await texts.read(await texts.keys("a"))).toEqual(["one"]);
});
