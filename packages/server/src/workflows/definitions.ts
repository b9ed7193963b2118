import type { WorkflowDefinition } from "@pylonsync/workflows";

/** A workflow of an app, with its file's path in the app's folder. */
export interface LoadedWorkflow extends WorkflowDefinition {
  readonly file: string;
}

/** The workflows of an app by their names. */
export type Definitions = ReadonlyMap<string, LoadedWorkflow>;
