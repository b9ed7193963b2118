import { PylonError } from "@pylonsync/protocol";

/** The number of sign-in attempts since the start, by outcome. */
export class SignInOutcomes {
  readonly counts = { ok: 0, second_factor: 0, refused: 0, limited: 0, failed: 0 };

  /** Counts an attempt by its outcome: success, or the error that it throws. */
  async of<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      const result = await attempt();
      this.counts.ok += 1;
      return result;
    } catch (error) {
      this.counts[outcomeOf(error)] += 1;
      throw error;
    }
  }
}

function outcomeOf(error: unknown): keyof SignInOutcomes["counts"] {
  if (!(error instanceof PylonError) || error.status >= 500) return "failed";
  if (error.code === "MFA_REQUIRED") return "second_factor";
  return error.code === "RATE_LIMITED" ? "limited" : "refused";
}
