import type { ReactElement } from "react";
import type { HeadingProps } from "./sign-in-flow.ts";

/** The heading of a form; renders nothing without a title. */
export function Heading({ title, subtitle }: HeadingProps): ReactElement | null {
  if (title === undefined) return null;
  return (
    <header className="pylon-head">
      <h1 className="pylon-title">{title}</h1>
      {subtitle !== undefined && <p className="pylon-sub">{subtitle}</p>}
    </header>
  );
}
