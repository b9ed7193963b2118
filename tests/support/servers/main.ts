// Starts the servers that the tests share, prints their addresses as one line of JSON, and stops
// them when its input ends.
import { PostgresServer, WITHOUT_FLUSHING } from "./postgres.ts";

const postgres =
  process.env["PYLON_TEST_POSTGRES_URL"] === undefined
    ? await PostgresServer.start(WITHOUT_FLUSHING)
    : null;
process.stdout.write(
  `${JSON.stringify(postgres === null ? {} : { PYLON_TEST_POSTGRES_URL: postgres.url() })}\n`,
);
for await (const _ of Bun.stdin.stream());
await postgres?.stop();
