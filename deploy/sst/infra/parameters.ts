import type { Settings } from "./settings";

/** The parameter that stores each variable's value, by variable. */
export type Parameters = Readonly<Record<string, aws.ssm.Parameter>>;

/**
 * Encrypted parameters for values that must not be readable in a task definition, in the console or
 * in a log: ECS passes them to the container.
 *
 * @param values by variable
 */
export function createParameters(
  values: Readonly<Record<string, $util.Input<string>>>,
): Parameters {
  return Object.fromEntries(
    Object.entries(values).map(([variable, value]) => [
      variable,
      new aws.ssm.Parameter(`${componentName(variable)}Parameter`, {
        type: "SecureString",
        name: `/${$app.name}/${$app.stage}/${variable}`,
        value: $util.secret(value),
      }),
    ]),
  );
}

/**
 * Returns `DATABASE_URL:1 PYLON_ADMIN_TOKEN:3`: AWS counts the changes of each value. The text does
 * not reveal the values.
 */
export function versionsOf(parameters: Parameters): $util.Output<string> {
  const versions = Object.entries(parameters).map(
    ([variable, { version }]) => $interpolate`${variable}:${version}`,
  );
  return $util.all(versions).apply((all) => all.join(" "));
}

/**
 * The secrets of a stage by variable; `sst secret set PylonAdminToken` sets the value of
 * `PYLON_ADMIN_TOKEN`.
 */
export function secretValues({ secrets }: Settings): Record<string, $util.Output<string>> {
  return Object.fromEntries(
    secrets.map((variable) => [variable, new sst.Secret(componentName(variable)).value]),
  );
}

/** Converts `PYLON_ADMIN_TOKEN` to the form that SST requires: `PylonAdminToken`. */
function componentName(variable: string): string {
  return variable
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
