import type { Family } from "../check.ts";
import { aggregate } from "./aggregate.ts";
import { authentication } from "./auth.ts";
import { documents } from "./documents.ts";
import { entities } from "./entities.ts";
import { events } from "./events.ts";
import { files } from "./files.ts";
import { functions } from "./functions.ts";
import { http } from "./http.ts";
import { pull } from "./pull.ts";
import { push } from "./push.ts";
import { query } from "./query.ts";
import { rooms } from "./rooms.ts";
import { socket } from "./socket.ts";
import { transact } from "./transact.ts";

/** All checks, by the name of their family. */
export const FAMILIES: Readonly<Record<string, Family>> = {
  http,
  entities,
  query,
  aggregate,
  transact,
  pull,
  push,
  socket,
  events,
  documents,
  rooms,
  auth: authentication,
  files,
  functions,
};
