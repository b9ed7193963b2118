// Reads the results of a test run from the runner's own report.
import { XMLParser } from "fast-xml-parser";

const parser = new XMLParser({
  ignoreAttributes: false,
  htmlEntities: true,
  attributeNamePrefix: "",
  parseAttributeValue: false,
  isArray: (name) => ["testsuite", "testcase", "failure"].includes(name),
});

/**
 * @param {string} xml a report in JUnit's form
 * @returns {import("./test-report.mjs").TestReport}
 * @throws Error if it is not such a report
 */
export function readReport(xml) {
  const { testsuites } = parser.parse(xml);
  if (testsuites === undefined) throw new Error("It has no test suites.");
  const report = { passed: 0, skipped: 0, failures: [], seconds: new Map() };
  count(testsuites, report);
  return report;
}

/** Suites are nested as the tests describe them. */
function count(suite, report) {
  for (const inner of suite.testsuite ?? []) count(inner, report);
  for (const { file, name, failure, skipped, time } of suite.testcase ?? []) {
    report.seconds.set(file, (report.seconds.get(file) ?? 0) + Number(time ?? 0));
    if (failure !== undefined) report.failures.push({ file, name, why: reason(failure[0]) });
    else if (skipped !== undefined) report.skipped += 1;
    else report.passed += 1;
  }
}

function reason(failure) {
  return (failure["#text"] ?? failure.message ?? failure.type ?? "").trim();
}
