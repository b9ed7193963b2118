import type { FnDefinition } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import { nearest } from "@pylonsync/query";
import type { Functions } from "./call.ts";

/** Finds functions of the app by name. */
export class FunctionTable {
  readonly #functions: () => Functions;
  readonly #dev: boolean;

  /** @param dev whether errors suggest the function that was probably meant */
  constructor(functions: () => Functions, dev: boolean) {
    this.#functions = functions;
    this.#dev = dev;
  }

  /**
   * Returns the function with this name if it may be called from outside.
   *
   * @throws PylonError FUNCTIONS_NOT_AVAILABLE, FN_NOT_FOUND
   */
  find(name: string): FnDefinition {
    const functions = this.#functions();
    const definition = functions.get(name);
    if (definition !== undefined && definition.internal !== true) return definition;
    if (functions.size === 0)
      throw new PylonError("FUNCTIONS_NOT_AVAILABLE", "This app has no functions.", {
        hint: `Write functions/${name.replaceAll(".", "/")}.ts.`,
      });
    throw this.#notFound(name, ([, { internal }]) => internal !== true);
  }

  /**
   * Returns the function with this name and type, even an internal one.
   *
   * @throws PylonError FN_NOT_FOUND, FN_TYPE_MISMATCH
   */
  definitionOf(name: string, type: FnDefinition["type"]): FnDefinition {
    const definition = this.#functions().get(name);
    if (definition === undefined)
      throw this.#notFound(String(name), (entry) => entry[1].type === type);
    if (definition.type === type) return definition;
    throw new PylonError("FN_TYPE_MISMATCH", `"${name}" is a ${definition.type}, not a ${type}.`);
  }

  /** In dev mode the error suggests the function that was probably meant. */
  #notFound(
    name: string,
    isCallable: (entry: readonly [string, FnDefinition]) => boolean,
  ): PylonError {
    const names = [...this.#functions()].filter(isCallable).map(([known]) => known);
    const meant = this.#dev ? nearest(name.slice(0, 80), names) : undefined;
    return new PylonError("FN_NOT_FOUND", `The function "${name.slice(0, 80)}" does not exist.`, {
      hint:
        meant === undefined
          ? "A function is named after its file in functions/."
          : `Did you mean "${meant}"?`,
    });
  }
}
