/**
 * Runs a program that ends on its own.
 *
 * @returns its output
 * @throws Error with its stderr if its exit code is not 0
 */
export async function run(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    ...options,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0)
    throw new Error(
      `${command.slice(0, 6).join(" ")} exited with ${code}:\n${(stderr || stdout).slice(-4_000)}`,
    );
  return stdout;
}
