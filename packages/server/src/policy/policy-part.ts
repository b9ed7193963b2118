import type { Expr } from "@pylonsync/query";

/** The condition of one policy for an access. */
export interface PolicyPart {
  /** The policy's name. */
  readonly name: string;
  /** The condition, as written. */
  readonly text: string;
  /**
   * The policy only restricts: its condition must hold in addition to those of the policies that
   * allow the access.
   */
  readonly isLimit: boolean;
  readonly expr: Expr;
}
