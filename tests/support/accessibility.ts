import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** What a person with a disability can't pass: the rules of WCAG 2.2 A and AA. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/**
 * What axe-core finds on a page as it is shown now.
 *
 * @returns a line for each element with a serious or critical problem
 */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // By the debugger, and not as a script of the page: its policy allows only scripts of its own.
  await page.evaluate(`${axe.source}; undefined`);
  const { violations, passes } = await page.evaluate<Pick<AxeResults, "violations" | "passes">>(
    `axe.run(document, { runOnly: ${JSON.stringify(TAGS)}, resultTypes: ["violations"] })`,
  );
  if (passes.length === 0) throw new Error("axe-core has looked at nothing.");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}
