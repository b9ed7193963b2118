import { expect, test } from "bun:test";
import { scheduledCall } from "./scheduler.ts";

const refusalOf = (name: unknown, options?: object): unknown => {
  try {
    scheduledCall(() => 0, name, 0, {}, options);
    return null;
  } catch (error) {
    return error;
  }
};

test("what no store can keep, or is not understood, is refused by the field at fault", () => {
  expect(refusalOf("send")).toBeNull();
  for (const name of ["", "a\0b", "a\ud800", "n".repeat(257), 5, null])
    expect(refusalOf(name)).toMatchObject({ code: "INVALID_ARGS", field: "name" });
  const notOptions: object[] = JSON.parse("[null, []]");
  for (const options of notOptions)
    expect(refusalOf("send", options)).toMatchObject({ code: "INVALID_ARGS", field: "options" });
  expect(refusalOf("send", { retries: 1 })).toMatchObject({
    code: "INVALID_ARGS",
    field: "retries",
  });
});
