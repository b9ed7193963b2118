import { Caller } from "./caller.ts";
import { Skipped, type Family, type Wire } from "./check.ts";
import { Mismatch } from "./shape.ts";

/** The outcome of a check. */
export interface CheckResult {
  readonly family: string;
  readonly name: string;
  readonly outcome: "pass" | "FAIL" | "skip";
  /** The expected response of a failure; the reason of a skipped check. */
  readonly expected: string;
  readonly got: string;
}

export interface Target {
  readonly url: string;
  readonly adminToken: string | null;
}

/**
 * Runs the checks of the families against a server, one after another.
 *
 * @param onResult called with each result as soon as it is known
 * @throws Error if the server is unreachable, or no guest can sign in
 */
export async function runChecks(
  target: Target,
  families: Readonly<Record<string, Family>>,
  onResult: (result: CheckResult) => void = () => undefined,
): Promise<CheckResult[]> {
  const wire = await wireTo(target);
  const results: CheckResult[] = [];
  for (const [family, checks] of Object.entries(families))
    for (const [name, check] of Object.entries(checks)) {
      const result = { family, name, ...(await outcomeOf(() => check(wire))) };
      results.push(result);
      onResult(result);
    }
  return results;
}

type Outcome = Pick<CheckResult, "outcome" | "expected" | "got">;

async function outcomeOf(run: () => Promise<void>): Promise<Outcome> {
  try {
    await run();
    return { outcome: "pass", expected: "", got: "" };
  } catch (error) {
    if (error instanceof Skipped) return { outcome: "skip", expected: error.message, got: "" };
    if (error instanceof Mismatch)
      return { outcome: "FAIL", expected: error.expected, got: error.got };
    return { outcome: "FAIL", expected: "an answer", got: String(error) };
  }
}

async function wireTo({ url: given, adminToken }: Target): Promise<Wire> {
  const url = given.replace(/\/+$/, "");
  const nobody = new Caller(url, null);
  const guest = async (): Promise<Caller> => {
    const { token, user_id: userId } = await nobody.expect(["POST", "/api/auth/guest"], 201);
    return new Caller(url, String(token), String(userId));
  };
  // Rows of an earlier run may still exist.
  const run = crypto.randomUUID().slice(0, 8);
  let number = 0;
  return {
    url,
    nobody,
    guest,
    ann: await guest(),
    bob: await guest(),
    admin: adminToken === null ? null : new Caller(url, adminToken),
    unique: (prefix) => `${prefix}-${run}-${(number += 1)}`,
  };
}
