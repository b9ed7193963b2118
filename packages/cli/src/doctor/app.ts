import { compileApp, type LoadedApp } from "@pylonsync/server";
import { countFunctions } from "../count-functions.ts";
import { error, notChecked, pass, warning, type Check } from "./check.ts";

/** Checks whether the app can be served. */
export function checkApp(loaded: LoadedApp): Check {
  const { diagnostics } = compileApp(loaded, { dev: false });
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const shown = (
    errors.length > 0 ? errors : diagnostics.filter(({ code }) => code !== "POLICY_MISSING")
  ).map(({ code, message, hint }) => `${code}: ${message}${hint === undefined ? "" : ` ${hint}`}`);
  if (shown.length === 0)
    return pass("app", `the manifest is valid, ${countFunctions(loaded)} functions load`);
  return errors.length > 0 ? error("app", shown.join(" | ")) : warning("app", shown.join(" | "));
}

/** Checks whether access to every entity is declared. */
export function checkPolicies(loaded: LoadedApp): Check {
  const { app, diagnostics } = compileApp(loaded, { dev: false });
  if (app === null) return notChecked("policies");
  const silent = diagnostics.filter(({ code }) => code === "POLICY_MISSING");
  if (silent.length > 0)
    return warning(
      "policies",
      silent.map(({ message, hint }) => `${message} ${hint ?? ""}`).join(" | "),
    );
  if (app.manifest.access === "public")
    return warning(
      "policies",
      'app.ts sets access: "public", so everyone may read and write ' +
        "every entity without a policy: write policies, and remove it.",
    );
  return pass("policies", "every entity has policies");
}
