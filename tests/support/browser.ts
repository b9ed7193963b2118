import { chromium, type Browser } from "playwright-core";

/**
 * Starts a headless browser: CHROMIUM_PATH, or the system's Chromium.
 *
 * @param args added to its command line
 */
export function launchBrowser(...args: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", ...args],
  });
}
