import { httpUrl } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of workflows that a separate process runs. */
export const WORKFLOW_VARIABLES = {
  PYLON_WORKFLOW_RUNNER_URL: variable<string | undefined>({
    wants: "an http or https URL",
    doc:
      "The URL of a runner made with `createRunner`, such as `http://127.0.0.1:4500/run`: it " +
      "runs the workflows that the app's folder does not contain. See [a " +
      "runner](workflows.md#run-workflows-in-a-separate-process).",
    fallback: undefined,
    parse: httpUrl,
  }),
} as const;
