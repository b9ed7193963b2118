import { useEffect, useState, type ReactElement } from "react";

/** Modules of white around it, which scanners want. */
const MARGIN = 4;

/** Props of `QrCode`. */
export interface QrCodeProps {
  readonly text: string;
  /** What it is, for who does not see it. */
  readonly label: string;
}

/**
 * A text for a camera; nothing while its encoder is loaded, where it can't be, and where the text
 * is too long.
 */
export function QrCode({ text, label }: QrCodeProps): ReactElement | null {
  const [modules, setModules] = useState<readonly (readonly boolean[])[] | null>(null);
  useEffect(() => {
    let isGone = false;
    import("uqr")
      .then(({ encode }) => isGone || setModules(encode(text, { border: MARGIN, ecc: "M" }).data))
      .catch(() => isGone || setModules(null));
    return () => {
      isGone = true;
    };
  }, [text]);
  if (modules === null) return null;
  return (
    <svg
      className="pylon-qr"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${modules.length} ${modules.length}`}
      shapeRendering="crispEdges"
    >
      <path d={pathOf(modules)} />
    </svg>
  );
}

/** A square for each dark module. */
function pathOf(modules: readonly (readonly boolean[])[]): string {
  return modules
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
}
