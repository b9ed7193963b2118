import { isStandardSchema, type StandardSchema } from "./standard-schema.ts";
import type { Shape, Validator } from "./validators.ts";

/** Whether `args` is a single validator and not an object of validators by name. */
export function isValidator(args: Shape | Validator): args is Validator {
  return typeof args.type === "string";
}

/**
 * Checks the `args` declaration of a function when its file is loaded.
 *
 * @throws Error that names the argument and says how to fix it
 */
export function checkDeclaredArgs(args: Shape | Validator | StandardSchema | undefined): void {
  if (args === undefined || isStandardSchema(args)) return;
  if (typeof args !== "object" || args === null || Array.isArray(args))
    throw new Error("args must be an object of validators: args: { title: v.string() }.");
  if (isValidator(args)) {
    if (args.type === "object") return;
    throw new Error(`args is a ${args.type}: declare an object, as in args: { value: ... }.`);
  }
  for (const [name, validator] of Object.entries<unknown>(args)) {
    if (isStandardSchema(validator))
      throw new Error(
        `args.${name} is a schema of another library: declare one schema for all arguments.`,
      );
    if (typeof validator === "function")
      throw new Error(`args.${name} is a function: write v.string(), with parentheses.`);
    if (typeof validator !== "object" || validator === null || !("type" in validator))
      throw new Error(`args.${name} is not a validator: write ${name}: v.string(), or another v.`);
  }
}
