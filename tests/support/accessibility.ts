import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";

/** The rules of WCAG 2.2 A and AA, whose violations exclude people with disabilities. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/**
 * Returns the problems that axe-core finds on a page in its current state.
 *
 * @returns a line for each element with a serious or critical problem
 */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // By the debugger, and not as a script of the page: its policy only allows its own scripts.
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
