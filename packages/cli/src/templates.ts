import pkg from "../package.json" with { type: "json" };
import { PRIVATE_FILES } from "./deploy/ignore-lines.ts";
import { todoDependencies, todoFiles } from "./template-files.ts";

const GITIGNORE = ["node_modules/", ...PRIVATE_FILES, ""].join("\n");

/** The version with which the templates are checked. */
const TYPESCRIPT_VERSION = "7.0.2";

type Dependencies = Readonly<Record<string, string>>;

/**
 * Everything that `npm install && npx pylon dev` needs. The versions are exact: an app is served by
 * the versions with which it was tested.
 */
function packageJson(
  name: string,
  dependencies: Dependencies,
  devDependencies: Dependencies,
): string {
  const own = {
    name: name.toLowerCase(),
    private: true,
    version: "0.1.0",
    type: "module",
    engines: { node: ">=20.19" },
    scripts: { dev: "pylon dev", start: "pylon start", typecheck: "tsc --noEmit" },
    dependencies,
    devDependencies: {
      "@pylonsync/cli": pkg.version,
      ...devDependencies,
      typescript: TYPESCRIPT_VERSION,
    },
  };
  return `${JSON.stringify(own, null, 2)}\n`;
}

const TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: "ES2023",
      lib: ["ES2024", "DOM", "DOM.Iterable"],
      module: "ESNext",
      moduleResolution: "bundler",
      jsx: "react-jsx",
      strict: true,
      noUncheckedIndexedAccess: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
    },
  },
  null,
  2,
)}\n`;

/** Files besides code that a bundler accepts. */
const WEB_TYPES = `declare module "*.css";
${["svg", "png", "jpg", "jpeg", "gif", "webp", "avif", "woff2"]
  .map(
    (ending) => `declare module "*.${ending}" {\n  const url: string;\n  export default url;\n}\n`,
  )
  .join("")}`;

function basicApp(name: string): string {
  return `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const Note = entity("Note", {
  text: field.string(),
  ownerId: field.string().owner().index(),
});

export default buildManifest({
  name: ${JSON.stringify(name)},
  version: "0.1.0",
  entities: [Note],
  policies: [policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" })],
});
`;
}

const HELLO = `import { query, v } from "@pylonsync/functions";

export default query({
  args: { name: v.optional(v.string()) },
  handler: async (ctx, args) => ({
    hello: args.name ?? "world",
    notes: await ctx.db.count("Note"),
  }),
});
`;

/** The templates of `pylon init`: each maps the app's name to its files by path. */
export const TEMPLATES: ReadonlyMap<string, (name: string) => ReadonlyMap<string, string>> =
  new Map([
    [
      "basic",
      (name: string) =>
        new Map([
          ["app.ts", basicApp(name)],
          ["functions/hello.ts", HELLO],
          [
            "package.json",
            packageJson(
              name,
              { "@pylonsync/functions": pkg.version, "@pylonsync/sdk": pkg.version },
              // For the page that the app may get: without them an editor does not know JSX.
              todoDependencies()["devDependencies"] ?? {},
            ),
          ],
          ["tsconfig.json", TSCONFIG],
          ["env.d.ts", WEB_TYPES],
          [".gitignore", GITIGNORE],
        ]),
    ],
    [
      "todo",
      (name: string) =>
        new Map([
          ...Object.entries(todoFiles()).map(([file, content]): [string, string] => [
            file,
            file === "app.ts"
              ? content.replace('name: "todo"', `name: ${JSON.stringify(name)}`)
              : content,
          ]),
          [
            "package.json",
            packageJson(
              name,
              todoDependencies()["dependencies"] ?? {},
              todoDependencies()["devDependencies"] ?? {},
            ),
          ],
          ["tsconfig.json", TSCONFIG],
          ["env.d.ts", WEB_TYPES],
          [".gitignore", GITIGNORE],
        ]),
    ],
  ]);
