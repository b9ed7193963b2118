import type { ReactElement } from "react";

/** A key icon, hidden from screen readers. */
export function PasskeyLogo(): ReactElement {
  return (
    <svg className="pylon-logo" viewBox="0 0 24 24" aria-hidden>
      <path
        d="M15 9h.01M14 3a7 7 0 1 1-2.6 13.5L9 19H6v3H2v-4l7.5-7.5A7 7 0 0 1 14 3z"
        fill="none"
        stroke="currentColor"
        strokeWidth="2"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}
