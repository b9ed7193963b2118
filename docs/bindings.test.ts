import { expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "svelte/compiler";
import { compileScript, compileTemplate, parse } from "vue/compiler-sfc";
import { codeBlocks } from "./code-blocks.ts";

// The components on the pages of the bindings are compiled here, each by its framework's compiler.

const blocksOf = (page: string, language: string) =>
  codeBlocks(join(import.meta.dir, page)).filter((block) => block.language === language);

test("the components of vue.md compile", () => {
  const blocks = blocksOf("vue.md", "vue");
  expect(blocks.length).toBeGreaterThan(0);
  for (const { code, label } of blocks) {
    const { descriptor, errors } = parse(code, { filename: label });
    const { bindings, content } = compileScript(descriptor, { id: label });
    const template = compileTemplate({
      id: label,
      filename: label,
      source: descriptor.template?.content ?? "",
      ...(bindings === undefined ? {} : { compilerOptions: { bindingMetadata: bindings } }),
    });
    expect([...errors, ...template.errors]).toEqual([]);
    expect(content).toContain("@pylonsync/vue");
    // A name that the script does not have would be looked for on the instance.
    expect(template.code).not.toContain("_ctx.");
  }
});

test("the components of svelte.md compile without a warning", () => {
  const blocks = blocksOf("svelte.md", "svelte");
  expect(blocks.length).toBe(2);
  for (const { code, label } of blocks) {
    const { js, warnings } = compile(code, { filename: label, generate: "client" });
    expect(js.code).toContain("@pylonsync/svelte");
    expect(warnings.map(({ message }) => message)).toEqual([]);
  }
});
