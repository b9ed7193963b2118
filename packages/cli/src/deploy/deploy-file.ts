/** A file that `pylon deploy` wants to be there. */
export interface DeployFile {
  /** From the folder that is written to. */
  readonly path: string;
  readonly content: string;
  /** It is made of what is there, and takes its place. */
  readonly replaces?: boolean;
  /** It is the app's own once it is there, and never written over. */
  readonly isFirstDraft?: boolean;
}

/** What became of it: `kept` is one of the caller's own that differs. */
export interface WrittenFile {
  readonly path: string;
  readonly state: "written" | "unchanged" | "kept";
  /** Where the caller's own is that was written over. */
  readonly copy?: string;
}
