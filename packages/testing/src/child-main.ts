/** Runs an app for tests in Node, which can't run it itself: `bun child-main.ts OPTIONS`. */
import { PylonError } from "@pylonsync/protocol";
import type { Backend, BackendOptions, Operation } from "./backend.ts";
import { openBunBackend } from "./bun-backend.ts";

interface Question {
  readonly id: number;
  readonly operation: Operation;
  readonly args: readonly unknown[];
}

const options: BackendOptions = JSON.parse(process.argv[2] ?? "{}");
const opening = openBunBackend(null, options);
process.on("disconnect", () => process.exit(0));
process.on("message", (question: Question) => void answer(question));
opening.then(
  () => process.send?.({ ready: true }),
  (error: unknown) => process.send?.({ failed: String(error) }),
);

async function answer({ id, operation, args }: Question): Promise<void> {
  try {
    const backend: Backend = await opening;
    process.send?.({ id, value: (await backend.call(operation, args)) ?? null });
  } catch (error) {
    process.send?.({ id, error: sent(error) });
  }
}

function sent(error: unknown): object {
  if (error instanceof PylonError) return error.toBody().error;
  return { message: error instanceof Error ? error.message : String(error) };
}
