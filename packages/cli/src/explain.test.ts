import { expect, test } from "bun:test";
import { ERROR_STATUS } from "@pylonsync/protocol";
import { pylon, TempFolder } from "./testing/pylon-process.ts";

test("explain explains a code, in lower case too, and suggests similar ones", async () => {
  using folder = new TempFolder();
  expect(await pylon(["explain", "not_a_member"], folder.path)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("NOT_A_MEMBER (HTTP 403): no row of OrgMember"),
  });
  const wrong = await pylon(["explain", "POLICY_DENIEDD"], folder.path);
  expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining("POLICY_DENIED?")]);
});

test("explain knows every code of the server, and those of the client", async () => {
  using folder = new TempFolder();
  const { stdout } = await pylon(["explain", "--json"], folder.path);
  const { codes } = JSON.parse(stdout) as { codes: { code: string; status: number | null }[] };
  const known = Object.fromEntries(codes.map(({ code, status }) => [code, status]));
  expect(known).toMatchObject({ ...ERROR_STATUS, UNREACHABLE: null });
});
