// What a page of the app calls: entities are loose, functions are typed. Checked by `npm test`,
// never run.
import { db } from "@pylonsync/react";

interface Channel {
  id: string;
  name: string;
}

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

export async function check(): Promise<void> {
  const { data } = db.useQuery<Channel>("Channel", { where: { name: "general" } });
  same<typeof data, Channel[]>(true);
  const loose = db.useQuery("Message", { where: { body: { $like: "hi" } }, limit: 5 });
  same<(typeof loose.data)[number]["id"], string>(true);
  await db.insert("Message", { channelId: "x", body: "hi" });
  await db.update("Message", "x", { body: "ho" });
  const created = await db.fn("createChannel", { name: "general" });
  same<typeof created, { channelId: string }>(true);
  // @ts-expect-error the name is a string
  await db.fn("createChannel", { name: 1 });
}
