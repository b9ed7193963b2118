import type { Settings } from "./settings";

/** By variable: the parameter that holds its value. */
export type Parameters = Readonly<Record<string, aws.ssm.Parameter>>;

/**
 * Encrypted parameters for what must not be read in a task definition, in the console or in a log:
 * ECS hands them to the container.
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
 * `DATABASE_URL:1 PYLON_ADMIN_TOKEN:3`: AWS counts how often each value was changed. It says
 * nothing of the values.
 */
export function versionsOf(parameters: Parameters): $util.Output<string> {
  const versions = Object.entries(parameters).map(
    ([variable, { version }]) => $interpolate`${variable}:${version}`,
  );
  return $util.all(versions).apply((all) => all.join(" "));
}

/**
 * The secrets of a stage by variable; `sst secret set PylonAdminToken` gives the value of
 * `PYLON_ADMIN_TOKEN`.
 */
export function secretValues({ secrets }: Settings): Record<string, $util.Output<string>> {
  return Object.fromEntries(
    secrets.map((variable) => [variable, new sst.Secret(componentName(variable)).value]),
  );
}

/** `PYLON_ADMIN_TOKEN` as SST wants names: `PylonAdminToken`. */
function componentName(variable: string): string {
  return variable
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
