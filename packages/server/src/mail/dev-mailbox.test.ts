import { expect, test } from "bun:test";
import { DevMailbox } from "./dev-mailbox.ts";

test("keeps the newest mails, the newest first, and reports each", async () => {
  const told: number[] = [];
  const mailbox = new DevMailbox(
    () => 0,
    ({ id }) => told.push(id),
  );
  for (let sent = 0; sent < 205; sent += 1)
    await mailbox.send({ to: "ann@example.com", subject: `${sent}`, text: "", html: "" });
  expect(told).toHaveLength(205);
  expect(mailbox.mails).toHaveLength(200);
  expect(mailbox.mails[0]).toMatchObject({ subject: "204", at: "1970-01-01T00:00:00.000Z" });
  expect(mailbox.mails.at(-1)).toMatchObject({ subject: "5" });
});
