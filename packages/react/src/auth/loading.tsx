import type { ReactElement } from "react";
import { Section } from "./section.tsx";

/** A placeholder with the final layout, shown while data is loaded. */
export function Loading({ title }: { readonly title: string }): ReactElement {
  return (
    <Section title={title}>
      <Placeholder />
    </Section>
  );
}

/** A grey bar, which screen readers skip. */
export function Placeholder(): ReactElement {
  return <div className="pylon-loading" aria-hidden />;
}
