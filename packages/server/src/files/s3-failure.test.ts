import { expect, test } from "bun:test";
import { Log } from "../observe/log.ts";
import { isMissingObject, s3Failure, statusOfS3 } from "./s3-failure.ts";

function errorOf(name: string, status?: number): Error {
  const error = new Error("what S3 said");
  error.name = name;
  return Object.assign(error, { $metadata: { httpStatusCode: status } });
}

test("a missing object is distinguished from a missing bucket, and from no response", () => {
  expect(isMissingObject(errorOf("NotFound", 404))).toBe(true);
  expect(isMissingObject(errorOf("NoSuchBucket", 404))).toBe(false);
  expect(isMissingObject(errorOf("TimeoutError"))).toBe(false);
  expect([statusOfS3(errorOf("X", 503)), statusOfS3(null), statusOfS3("x")]).toEqual([
    503,
    undefined,
    undefined,
  ]);
});

test("the log says what to do, and the caller learns only that it failed", () => {
  const lines: string[] = [];
  const log = new Log({
    level: "error",
    format: "json",
    now: () => 0,
    write: (line) => lines.push(line),
  });
  const cases: [Error, string][] = [
    [errorOf("AccessDenied", 403), "allow s3:PutObject"],
    [errorOf("NoSuchBucket", 404), "change PYLON_S3_BUCKET"],
    [errorOf("CredentialsProviderError"), "set PYLON_S3_ACCESS_KEY"],
    [errorOf("InternalError", 500), "The S3 operation PutObject failed"],
  ];
  for (const [error, words] of cases) {
    const told = s3Failure(error, "PutObject", "photos", log);
    expect(told).toMatchObject({ code: "STORAGE_UNAVAILABLE", extra: { retry_after_secs: 5 } });
    expect(`${told.message} ${told.hint ?? ""}`).not.toMatch(/photos|S3|what S3 said/);
    expect(lines.at(-1)).toContain(words);
  }
});
