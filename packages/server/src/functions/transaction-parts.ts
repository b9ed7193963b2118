import type { UserClaims } from "@pylonsync/functions";
import type { Transaction } from "../store/store.ts";
import { starterOf, type RunningCall } from "./call.ts";
import { transactionEmail, type CallEmail } from "./email.ts";
import type { RunnerServices } from "./runner-services.ts";
import { startedBy, TransactionScheduler } from "./scheduler.ts";
import { transactionClaims } from "./user-claims.ts";
import { TransactionWorkflows } from "./workflows.ts";

/**
 * Rarely used parts of a mutation's `ctx` that belong to its transaction, each created on first
 * access.
 */
export class TransactionParts {
  readonly #services: RunnerServices;
  readonly #running: RunningCall;
  readonly #tx: Transaction;
  /** The due times of the mails that were added. */
  #mailed: number[] | undefined;
  #email: CallEmail | undefined;
  #claims: UserClaims | undefined;
  #scheduler: TransactionScheduler | undefined;
  #workflows: TransactionWorkflows | undefined;
  #isOver = false;

  constructor(services: RunnerServices, running: RunningCall, tx: Transaction) {
    this.#services = services;
    this.#running = running;
    this.#tx = tx;
  }

  get email(): CallEmail {
    const { mail, queue } = this.#services;
    this.#mailed ??= [];
    const added = { tx: this.#tx, times: this.#mailed };
    return (this.#email ??= transactionEmail(mail, queue, added));
  }

  get claims(): UserClaims {
    return (this.#claims ??= transactionClaims(this.#tx, this.#services.platform));
  }

  get scheduler(): TransactionScheduler {
    const { queue } = this.#services;
    this.#scheduler ??= new TransactionScheduler(
      startedBy(this.#running.trace.noting(queue), starterOf(this.#running.call)),
      this.#tx,
    );
    if (this.#isOver) this.#scheduler.end();
    return this.#scheduler;
  }

  get workflows(): TransactionWorkflows {
    const { workflows, queue } = this.#services;
    return (this.#workflows ??= new TransactionWorkflows(workflows, queue, this.#tx, {
      startedBy: starterOf(this.#running.call),
    }));
  }

  /**
   * Writes the calls that the scheduler collected. Called after the handler has returned.
   *
   * @returns undefined if there is nothing to write
   */
  close(): Promise<void> | undefined {
    return this.#scheduler?.close();
  }

  /**
   * Called when the transaction ends, with or without a commit. A handler may have left work
   * running that uses its `ctx` afterwards: it is rejected.
   */
  end(): void {
    this.#isOver = true;
    this.#scheduler?.end();
  }

  /** The due times of the jobs that the handler queued, in milliseconds since 1970. */
  get times(): readonly number[] {
    return [
      ...(this.#scheduler?.times ?? []),
      ...(this.#workflows?.times ?? []),
      ...(this.#mailed ?? []),
    ];
  }
}
