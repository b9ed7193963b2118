import { useEffect, useState, type ReactElement } from "react";

/** The width of the white margin in modules, as scanners require. */
const MARGIN = 4;

/** Props of `QrCode`. */
export interface QrCodeProps {
  readonly text: string;
  /** A description for screen readers. */
  readonly label: string;
}

/**
 * A QR code. Renders nothing while its encoder is loading, if it can't be loaded, and if the text
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

/** Returns a path with a square per dark module. */
function pathOf(modules: readonly (readonly boolean[])[]): string {
  return modules
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
}
