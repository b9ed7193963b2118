import { expect, test } from "bun:test";
import { scratchStore } from "../../store/testing/scratch-store.ts";
import { McpClients } from "./clients.ts";

const METADATA = { redirect_uris: ["https://client.example/callback"] };

test("new clients replace the oldest one that no user has given access to", async () => {
  await using scratch = scratchStore();
  const { store, platform } = scratch;
  const clients = new McpClients(store, platform, 3);
  const register = async (): Promise<string> => {
    scratch.advance(1000);
    return (await clients.register(METADATA)).id;
  };
  const [used, oldest, newest] = [await register(), await register(), await register()];
  await store.transact((tx) => clients.used(tx, used));
  const next = await register();
  await expect(clients.get(oldest)).rejects.toMatchObject({ code: "invalid_client" });
  for (const id of [used, newest, next]) expect((await clients.get(id)).id).toBe(id);
  for (const id of [newest, next]) await store.transact((tx) => clients.used(tx, id));
  await expect(register()).rejects.toMatchObject({ code: "temporarily_unavailable" });
});
