import { and } from "@pylonsync/query";
import type { Reader, StoredRow, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { compare } from "./compare.ts";
import { endOfQueue, laneBounds, laneOfReadyKey, queueOfLane } from "./job-row.ts";
import type { QueueGate } from "./queue-limits.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
/** The maximum number of lanes that one take reads. */
const MAX_LANES = 64;

/** Takes ready jobs from all lanes in turn, so that a lane with many jobs delays no other lane. */
export class LaneRotation {
  /** The lane that was served last: the next take starts after it. */
  #lastLane = "";

  /**
   * Takes jobs of each lane after the last one that was served, and repeats, until there are
   * `count` jobs or no more are ready.
   */
  async take(tx: Transaction, count: number, gate: QueueGate): Promise<StoredRow[]> {
    const most = Math.min(count, MAX_LANES);
    const lanes = await this.#lanesAfter(tx, this.#lastLane, most, gate);
    const taken: StoredRow[] = [];
    let open = lanes;
    while (open.length > 0 && taken.length < count) {
      const share = Math.max(1, Math.floor((count - taken.length) / open.length));
      const rest: string[] = [];
      for (const lane of open) {
        if (taken.length === count) break;
        const { ofLane } = await gate.room(lane);
        const limit = Math.min(share, count - taken.length, ofLane);
        if (limit === 0) continue;
        const rows = await readyOf(tx, lane, limit, taken);
        taken.push(...rows);
        gate.took(lane, rows.length);
        this.#lastLane = lane;
        if (rows.length === limit) rest.push(lane);
      }
      open = rest;
    }
    return taken;
  }

  /** Returns lanes with ready jobs, from the one after `last`, wrapping around. */
  async #lanesAfter(
    tx: Transaction,
    last: string,
    count: number,
    gate: QueueGate,
  ): Promise<string[]> {
    const lanes: string[] = [];
    let after = last === "" ? "" : laneBounds(last).to;
    let isAround = last === "";
    while (lanes.length < count) {
      const [row] = await firstReady(tx, after);
      const lane = row === undefined ? undefined : laneOfReadyKey(String(row["readyKey"]));
      if (lane === undefined || lanes.includes(lane)) {
        if (isAround) break;
        isAround = true;
        after = "";
        continue;
      }
      if (isAround && last !== "" && lane > last) break;
      const { ofLane, ofQueue } = await gate.room(lane);
      const queue = queueOfLane(lane);
      const chosen = lanes.filter((one) => queueOfLane(one) === queue).length;
      // Capacity that a full queue can't use is left to the queues after it.
      after = chosen >= ofQueue ? endOfQueue(queue) : laneBounds(lane).to;
      if (ofLane > 0 && chosen < ofQueue) lanes.push(lane);
    }
    return lanes;
  }
}

/** Returns the first ready job after a position in the order of lanes, or no row. */
export function firstReady(reader: Reader, after: string): Promise<StoredRow[]> {
  return reader.select({
    entity: TABLE,
    where: compare(">", "readyKey", after),
    order: [{ field: "readyKey", direction: "asc" }],
    limit: 1,
  });
}

function readyOf(
  tx: Transaction,
  lane: string,
  limit: number,
  except: readonly StoredRow[],
): Promise<StoredRow[]> {
  const { from, to } = laneBounds(lane);
  // Ready keys are ordered, so the jobs that were taken from the lane precede the rest.
  const last = except.findLast((row) => laneOfReadyKey(String(row["readyKey"])) === lane);
  return tx.select({
    entity: TABLE,
    where: and(
      compare(">", "readyKey", last === undefined ? from : String(last["readyKey"])),
      compare("<", "readyKey", to),
    ),
    order: [{ field: "readyKey", direction: "asc" }],
    limit,
    isClaim: true,
  });
}
