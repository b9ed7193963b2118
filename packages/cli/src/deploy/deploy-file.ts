/** A file that `pylon deploy` writes. */
export interface DeployFile {
  /** Relative to the folder that is written to. */
  readonly path: string;
  readonly content: string;
  /** Whether it is derived from the existing file, and replaces it. */
  readonly replaces?: boolean;
  /** Whether it belongs to the app once it exists, and is never overwritten. */
  readonly isFirstDraft?: boolean;
}

/** The outcome for a file: `kept` if the caller's own file differs. */
export interface WrittenFile {
  readonly path: string;
  readonly state: "written" | "unchanged" | "kept";
  /** The copy of the caller's own file that was overwritten. */
  readonly copy?: string;
}
