export interface TestReport {
  passed: number;
  skipped: number;
  failures: { file: string; name: string; why: string }[];
  /** By file: the duration of its tests. */
  seconds: Map<string, number>;
}
export function readReport(xml: string): TestReport;
