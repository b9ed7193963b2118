import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadApp } from "@pylonsync/server";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../support/browser.ts";
import { startServer, type TestServer } from "../support/server.ts";

const ROOT = join(import.meta.dir, "..", "..");
const APP = join(import.meta.dir, "..", "support", "sign-in-app");
/** The folder of the screenshots. SCREENSHOTS names one that is kept, to look at them. */
const shots = process.env["SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "pylon-shots-"));

let server: TestServer;
let browser: Browser;
beforeAll(async () => {
  server = await startServer(await loadApp(APP, { dev: false }), { PYLON_COOKIE_SECURE: "0" });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** The computed styles of the parts of a sign-in form, with their positions and widths. */
function lookOf(page: Page): Promise<Record<string, unknown>> {
  return page.evaluate(() => {
    const find = (selector: string, text = ""): Element => {
      const found = [...document.querySelectorAll(selector)].find(
        (element) => element.checkVisibility() && element.textContent?.includes(text),
      );
      if (found === undefined) throw new Error(`There is no ${selector} with "${text}".`);
      return found;
    };
    const look = (element: Element): Record<string, unknown> => {
      const style = getComputedStyle(element);
      const { left, width } = element.getBoundingClientRect();
      const names = [
        ...["color", "backgroundColor", "borderTopColor", "borderTopWidth", "borderRadius"],
        ...["fontSize", "fontWeight", "paddingTop", "paddingLeft", "textDecorationLine"],
      ] as const;
      return {
        ...Object.fromEntries(names.map((name) => [name, style[name as "color"]])),
        left,
        width,
      };
    };
    const { left: _left, width: _width, ...link } = look(find("nav button", "emailed code"));
    return {
      email: look(find("input[name=email]")),
      password: look(find("input[name=password]")),
      signIn: look(find("form button", "Sign in")),
      passkey: look(find("button", "passkey")),
      link,
      label: getComputedStyle(find("form label")).fontSize,
      fontFamily: getComputedStyle(find("input[name=email]")).fontFamily,
    };
  });
}

test.each([
  [1000, "light"],
  [1000, "dark"],
  [360, "light"],
] as const)(
  "U: <SignIn/> and /auth/sign-in look the same, %i wide, %s",
  async (width, colorScheme) => {
    const context = await browser.newContext({ viewport: { width, height: 760 }, colorScheme });
    const page = await context.newPage();
    const looks: Record<string, unknown>[] = [];
    for (const [path, name] of [
      ["/sign-in", "component"],
      ["/auth/sign-in", "page"],
    ] as const) {
      await page.goto(server.url + path);
      await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
      await page.getByRole("button", { name: "Use a passkey" }).waitFor();
      await page.screenshot({ path: join(shots, `look-${name}-${width}-${colorScheme}.png`) });
      looks.push(await lookOf(page));
      const box = await page.locator("input[name=email]").locator("visible=true").boundingBox();
      if (box === null) throw new Error("There is no field.");
      expect(Math.abs(box.x + box.width / 2 - width / 2)).toBeLessThan(1);
      expect(box.y).toBeGreaterThan(60);
    }
    expect(looks[0]).toEqual(looks[1] ?? {});
    await context.close();
  },
);

test("U: the components and the server's pages have the same CSS variables", () => {
  const variables = (file: string): string =>
    /:where\(:root\) \{[^}]*\}/.exec(readFileSync(join(ROOT, file), "utf8"))?.[0] ?? file;
  expect(variables("packages/server/src/auth/pages/auth-page.text.css")).toBe(
    variables("packages/react/src/styles.css"),
  );
});

test("U: the components and the server's pages have the same style sheet", () => {
  const text = (file: string): string => readFileSync(join(ROOT, file), "utf8");
  expect(text("packages/server/src/auth/pages/auth-page.text.css")).toBe(
    text("packages/react/src/styles.css"),
  );
});
