export interface TestReport {
  passed: number;
  skipped: number;
  failures: { file: string; name: string; why: string }[];
}
export function readReport(xml: string): TestReport;
