import { expect, test } from "bun:test";
import { UnsavedEdits } from "./unsaved.ts";

test("the page asks before it leaves a row with changes, and only then", () => {
  let asked = 0;
  let answer = false;
  const edits = new UnsavedEdits(() => {
    asked += 1;
    return answer;
  });
  const row = "#/data/Todo?row=a";
  expect([edits.mayGo(row, "#/data/Todo"), asked]).toEqual([true, 0]);
  edits.set(true);
  // A filter, and the order, change the address of the list.
  expect([edits.mayGo(row, "#/data/Todo?done=eq.true&row=a"), asked]).toEqual([true, 0]);
  for (const place of ["#/data/Todo", "#/data/Todo?row=b", "#/data/Item?row=a", "#/jobs", ""])
    expect(edits.mayGo(row, place)).toBe(false);
  expect([asked, edits.hasEdits]).toEqual([5, true]);
  answer = true;
  expect([edits.mayGo(row, "#/jobs"), edits.hasEdits, edits.drop(), asked]).toEqual([
    true,
    false,
    true,
    6,
  ]);
});
