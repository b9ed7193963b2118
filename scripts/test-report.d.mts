export interface TestReport {
  passed: number;
  skipped: number;
  failures: { file: string; name: string; why: string }[];
  /** By file: how long its tests took. */
  seconds: Map<string, number>;
}
export function readReport(xml: string): TestReport;
