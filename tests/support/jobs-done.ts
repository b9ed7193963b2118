import { TestClient, until } from "./client.ts";
import { ADMIN_TOKEN } from "./server.ts";

/**
 * Waits until a server has done its jobs. Without this, a test that then moves the clock could end
 * the lease of a mail that is being sent, which would be sent again.
 */
export async function jobsDone(url: string): Promise<void> {
  const admin = new TestClient(url, ADMIN_TOKEN);
  await until(async () => {
    const { body } = await admin.request("GET", "/api/jobs/stats");
    return body["pending"] === 0 && body["running"] === 0;
  });
}
