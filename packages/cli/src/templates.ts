import { todoFiles } from "./template-files.ts" with { type: "macro" };

const TODO = todoFiles();

const GITIGNORE = "node_modules/\n.pylon/\n.env\n.env.local\n";

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

function basicApp(name: string): string {
  return `import { buildManifest, entity, field, policy } from "@pylonsync/sdk";

const Note = entity("Note", {
  text: field.string(),
  ownerId: field.string().owner(),
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
  handler: async (ctx, args) => ({ hello: args.name ?? "world", notes: await ctx.db.count("Note") }),
});
`;

/** What \`pylon init\` can make: from the app's name to its files by path. */
export const TEMPLATES: ReadonlyMap<string, (name: string) => ReadonlyMap<string, string>> = new Map([
  [
    "basic",
    (name: string) =>
      new Map([
        ["app.ts", basicApp(name)],
        ["functions/hello.ts", HELLO],
        ["tsconfig.json", TSCONFIG],
        [".gitignore", GITIGNORE],
      ]),
  ],
  [
    "todo",
    (name: string) =>
      new Map([
        ...Object.entries(TODO).map(([file, content]): [string, string] => [file, file === "app.ts" ? content.replace('name: "todo"', `name: ${JSON.stringify(name)}`) : content]),
        ["tsconfig.json", TSCONFIG],
        [".gitignore", GITIGNORE],
      ]),
  ],
]);
