/** The code of the error that the work throws, or null. */
export async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) return "not an Error";
    return "code" in error ? error.code : error.constructor.name;
  }
}
