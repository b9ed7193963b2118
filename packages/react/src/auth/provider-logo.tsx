import { providerLogo } from "@pylonsync/protocol";
import type { ReactElement } from "react";

/** The logo of an OAuth provider, or the first letter of its name; hidden from screen readers. */
export function ProviderLogo({
  name,
  label,
}: {
  readonly name: string;
  readonly label: string;
}): ReactElement {
  const shapes = providerLogo(name);
  if (shapes === null)
    return (
      <span className="pylon-logo" aria-hidden>
        {label.slice(0, 1)}
      </span>
    );
  return (
    <svg className="pylon-logo" viewBox="0 0 24 24" aria-hidden>
      {shapes.map(({ path, fill = "currentColor" }) => (
        <path key={path} d={path} fill={fill} />
      ))}
    </svg>
  );
}
