import { literal, path, type Expr, type Scalar } from "@pylonsync/query";

/** A condition on one column of the jobs. */
export function compare(op: "==" | "<" | "<=" | ">", field: string, value: Scalar): Expr {
  return { kind: "compare", op, left: path("data", field), right: literal(value) };
}
