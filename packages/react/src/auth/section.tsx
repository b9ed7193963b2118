import type { ReactElement, ReactNode } from "react";

/** A section of the account page, with its heading. */
export function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <section className="pylon-section" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
