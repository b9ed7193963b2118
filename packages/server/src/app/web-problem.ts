import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

/** The number of lines shown before and after the erroneous one. */
const CONTEXT_LINES = 3;

/** A problem because of which an app's page can't be bundled. */
export interface WebProblem {
  readonly message: string;
  /** Null if the bundler does not say. */
  readonly place: WebPlace | null;
  /** How to fix it, if that is known. */
  readonly hint?: string | undefined;
}

/** A location in a file of the app. */
export interface WebPlace {
  /** Relative to the app's folder. */
  readonly file: string;
  /** From 1, like `column`; both are null for the file as a whole. */
  readonly line: number | null;
  readonly column: number | null;
  /** The erroneous line and those around it. */
  readonly frame: readonly FrameLine[];
}

/** A line of the source around an error. */
export interface FrameLine {
  readonly number: number;
  readonly text: string;
  readonly isFaulty: boolean;
}

/** An app's page can't be bundled; the message names each problem with its location. */
export class WebBuildError extends Error {
  override readonly name = "WebBuildError";
  readonly problems: readonly WebProblem[];

  constructor(problems: readonly WebProblem[]) {
    super(`web/ can't be built: ${problems.map(oneLine).join("; ")}`);
    this.problems = problems;
  }
}

/** Returns `web/main.tsx:3:14`, as far as it is known. */
export function placeText({ file, line, column }: WebPlace): string {
  return line === null ? file : `${file}:${line}:${column ?? 1}`;
}

function oneLine({ message, place }: WebProblem): string {
  return place === null ? message : `${placeText(place)}: ${message}`;
}

/**
 * @param log the bundler's report
 * @param root the app's folder; locations and names are relative to it
 */
export function webProblem(log: BuildMessage | ResolveMessage, root: string): WebProblem {
  const { position } = log;
  const message = log.message.replaceAll(`${root}/`, "");
  if (position === null || position.file === "") return { message, place: null };
  const isWhole = position.line < 1;
  return {
    message,
    place: {
      file: relative(root, position.file),
      line: isWhole ? null : position.line,
      column: isWhole ? null : position.column,
      frame: isWhole ? [] : frameAt(position.file, position.line, position.lineText),
    },
  };
}

/**
 * Reads the lines around the erroneous one from the current file.
 *
 * @param lineText the bundler's own line, which is used if the file is gone or has changed
 */
export function frameAt(path: string, line: number, lineText?: string): FrameLine[] {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split(/\r?\n/) : [];
  if (lineText !== undefined && lines[line - 1] !== lineText)
    return [{ number: line, text: lineText, isFaulty: true }];
  const first = Math.max(1, line - CONTEXT_LINES);
  return lines.slice(first - 1, line + CONTEXT_LINES).map((text, index) => ({
    number: first + index,
    text,
    isFaulty: first + index === line,
  }));
}
