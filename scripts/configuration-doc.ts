// Writes docs/configuration.md from the table that the server parses: `bun
// scripts/configuration-doc.ts`.
import { OAUTH_VARIABLES, UNREAD_VARIABLES, VARIABLES } from "@pylonsync/server";

const INTRO = `# Configuration

Set a server up by environment variables. It reads them once, at start. A variable that is not \
usable stops the start with a sentence that names it.

\`pylon dev\` also reads \`.env.local\` and \`.env\`, from the app's folder upwards, first folder \
that has one: the process's own environment
wins, then \`.env.local\`, then \`.env\`. \`pylon start\` reads no file.

| variable | wants | default | in dev mode | |
| --- | --- | --- | --- | --- |
`;

const UNREAD = `
## Variables of the public system that are not read

Where one of these is set, the start warns of it (\`VARIABLE_NOT_READ\`) and says what takes its \
place.

| variable | instead |
| --- | --- |
`;

const OUTRO = `
This page is made by \`scripts/configuration-doc.ts\`.
`;

/** The text of docs/configuration.md. */
export function configurationDoc(): string {
  const rows = Object.entries(VARIABLES).map(([name, variable]) => {
    const devFallback = "devFallback" in variable ? variable.devFallback : undefined;
    return (
      `| \`${name}\` | ${variable.wants} | ${show(variable.fallback)} | ` +
      `${devFallback === undefined ? "" : show(devFallback)} | ${variable.doc} |\n`
    );
  });
  const oauthRows = Object.entries(OAUTH_VARIABLES).map(([part, variable]) => {
    const name = "only" in variable ? variable.only : "<NAME>";
    return `| \`PYLON_OAUTH_${name}_${part}\` | ${variable.wants} | none | | ${variable.doc} |\n`;
  });
  const unread = UNREAD_VARIABLES.map(
    ({ names, instead }) => `| ${names.map((name) => `\`${name}\``).join(", ")} | ${instead} |\n`,
  );
  return [INTRO, ...rows, ...oauthRows, UNREAD, ...unread, OUTRO].join("");
}

function show(value: unknown): string {
  if (
    value === undefined ||
    (typeof value === "object" &&
      value !== null &&
      Object.keys(value).length === 0 &&
      !Array.isArray(value))
  )
    return "none";
  return `\`${value === true ? "1" : value === false ? "0" : String(value)}\``;
}

if (import.meta.main)
  await Bun.write(new URL("../docs/configuration.md", import.meta.url), configurationDoc());
