import type { Shape, Validator } from "./validators.ts";

/** Whether `args` is one validator and not an object of validators by name. */
export function isValidator(args: Shape | Validator): args is Validator {
  return typeof args.type === "string";
}

/**
 * Checks what a function declares as its arguments, when its file is loaded.
 *
 * @throws Error that names the argument and the remedy
 */
export function checkDeclaredArgs(args: Shape | Validator | undefined): void {
  if (args === undefined) return;
  if (typeof args !== "object" || args === null || Array.isArray(args))
    throw new Error("args is an object of validators: args: { title: v.string() }.");
  if (isValidator(args)) {
    if (args.type === "object") return;
    throw new Error(`args is a ${args.type}: declare an object, as in args: { value: ... }.`);
  }
  for (const [name, validator] of Object.entries<unknown>(args)) {
    if (typeof validator === "function")
      throw new Error(`args.${name} is a function: write v.string(), with parentheses.`);
    if (typeof validator !== "object" || validator === null || !("type" in validator))
      throw new Error(`args.${name} is not a validator: write ${name}: v.string(), or another v.`);
  }
}
