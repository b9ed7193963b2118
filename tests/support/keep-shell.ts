import type { BrowserContext } from "playwright-core";

/** Serves the page's files as a service worker would: also while there is no network or server. */
export async function keepShell(context: BrowserContext): Promise<void> {
  type Kept = { readonly body: Buffer; readonly headers: Record<string, string> };
  const kept = new Map<string, Kept>();
  await context.route(
    (url) => !url.pathname.startsWith("/api"),
    async (route) => {
      const url = route.request().url();
      const known = kept.get(url);
      if (known !== undefined) return route.fulfill(known);
      const response = await route.fetch();
      const answer = { body: await response.body(), headers: response.headers() };
      kept.set(url, answer);
      return route.fulfill(answer);
    },
  );
}
