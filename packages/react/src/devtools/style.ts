/** The panel's styles, isolated from those of the page in both directions. */
export const STYLE = `
.pylon-devtools, .pylon-devtools * { box-sizing: border-box; margin: 0; }
.pylon-devtools {
  position: fixed; inset: auto 0 0 0; z-index: 2147483000; display: flex; flex-direction: column;
  height: min(46vh, 420px); color: #e6e9ef; background: #14171f; border-top: 1px solid #323847;
  font: 13px/1.45 ui-sans-serif, system-ui, sans-serif; text-align: start;
  box-shadow: 0 -4px 16px rgb(0 0 0 / 20%);
}
.pylon-devtools button { font: inherit; color: inherit; cursor: pointer; }
.pylon-devtools button:focus-visible { outline: 2px solid #8ab4ff; outline-offset: 2px; }
.pylon-devtools-open {
  position: fixed; inset: auto 12px 12px auto; z-index: 2147483000; padding: 6px 12px;
  color: #e6e9ef; background: #14171f; border: 1px solid #454d60; border-radius: 999px;
  font: 600 13px/1.4 ui-sans-serif, system-ui, sans-serif; cursor: pointer;
}
.pylon-devtools-bar {
  display: flex; flex-wrap: wrap; align-items: center; gap: 4px 18px; padding: 8px 14px;
  background: #1b1f2a;
}
.pylon-devtools-bar dl { display: flex; flex-wrap: wrap; gap: 2px 18px; flex: 1; }
.pylon-devtools-bar dl div { display: flex; gap: 6px; white-space: nowrap; }
.pylon-devtools-bar dt { color: #a3acbf; }
.pylon-devtools-bar dd { font-variant-numeric: tabular-nums; }
.pylon-devtools-dot {
  display: inline-block; width: 9px; height: 9px; border-radius: 50%; background: #f5b942;
}
.pylon-devtools-dot[data-state="live"] { background: #45d483; }
.pylon-devtools-dot[data-state="offline"] { background: #ff6b6b; }
.pylon-devtools-close { padding: 2px 10px; background: none; border: 0; border-radius: 6px; }
.pylon-devtools-close:hover, .pylon-devtools [role="tab"]:hover { background: #2b3140; }
.pylon-devtools [role="tablist"] { display: flex; gap: 4px; padding: 6px 10px 0; }
.pylon-devtools [role="tab"] {
  padding: 5px 12px; background: none; border: 0; border-radius: 6px 6px 0 0; color: #a3acbf;
}
.pylon-devtools [role="tab"][aria-selected="true"] {
  color: #fff; background: #2b3140; font-weight: 600;
}
.pylon-devtools-badge { padding: 0 6px; font-size: 11px; color: #d5dcea; background: #3a4254;
  border-radius: 999px; }
.pylon-devtools-bad { color: #ff9c9c; }
.pylon-devtools [role="tabpanel"] {
  flex: 1; overflow: auto; padding: 10px 14px; background: #14171f; border-top: 1px solid #2b3140;
}
.pylon-devtools table { width: 100%; border-collapse: collapse; white-space: nowrap; }
.pylon-devtools [data-wide="2"] > * > tr > :nth-child(2),
.pylon-devtools [data-wide="3"] > * > tr > :nth-child(3) {
  width: 100%; min-width: 160px; white-space: normal;
}
.pylon-devtools th { position: sticky; top: -10px; color: #a3acbf; background: #14171f;
  font-weight: 500; text-align: start; }
.pylon-devtools th, .pylon-devtools td { padding: 4px 20px 4px 0; vertical-align: top; }
.pylon-devtools td { border-top: 1px solid #232837; overflow-wrap: anywhere; }
.pylon-devtools .pylon-devtools-number { text-align: end; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.pylon-devtools code { font: 12px/1.5 ui-monospace, monospace; color: #b9d2ff; }
.pylon-devtools h3 { margin: 12px 0 4px; font-size: 13px; font-weight: 600; }
.pylon-devtools h3:first-child { margin-top: 0; }
.pylon-devtools-none { color: #a3acbf; }
.pylon-devtools-entities { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 10px; }
.pylon-devtools-entities button { padding: 3px 10px; background: #1b1f2a; border: 1px solid #323847;
  border-radius: 999px; }
.pylon-devtools-entities button[aria-pressed="true"] { border-color: #8ab4ff; background: #26324a; }
@media (max-width: 560px) { .pylon-devtools { height: 62vh; } }
`;
