import type { FnFetch, FnStorage } from "@pylonsync/functions";
import type { Transaction } from "../store/store.ts";
import { starterOf, type RunningCall } from "./call.ts";
import type { Deadline } from "./deadline.ts";
import { actionEmail, type CallEmail } from "./email.ts";
import { functionFetch } from "./function-fetch.ts";
import type { RunnerServices } from "./runner-services.ts";
import { ActionScheduler, startedBy } from "./scheduler.ts";
import { ActionWorkflows } from "./workflows.ts";

/** Rarely used parts of an action's `ctx`, each created on first access. */
export class ActionParts {
  readonly #services: RunnerServices;
  readonly #call: RunningCall;
  readonly #deadline: Deadline;
  #fetch: FnFetch | undefined;
  #email: CallEmail | undefined;
  #storage: FnStorage | undefined;
  #scheduler: ActionScheduler | undefined;
  #workflows: ActionWorkflows | undefined;

  constructor(services: RunnerServices, call: RunningCall, deadline: Deadline) {
    this.#services = services;
    this.#call = call;
    this.#deadline = deadline;
  }

  get fetch(): FnFetch {
    const { trace } = this.#call;
    return (this.#fetch ??= functionFetch(this.#services.ask, this.#deadline, (host, method) =>
      trace.fetching(host, method),
    ));
  }

  get email(): CallEmail {
    const { mail, queue, store } = this.#services;
    return (this.#email ??= actionEmail(mail, queue, store));
  }

  get storage(): FnStorage {
    const { caller, trace } = this.#call;
    return (this.#storage ??= trace.measuredStorage(this.#services.storageOf(caller)));
  }

  get scheduler(): ActionScheduler {
    const { queue } = this.#services;
    return (this.#scheduler ??= new ActionScheduler(
      startedBy(this.#call.trace.noting(queue), starterOf(this.#call)),
      this.#transact,
    ));
  }

  get workflows(): ActionWorkflows {
    const { queue, workflows } = this.#services;
    return (this.#workflows ??= new ActionWorkflows(workflows, queue, this.#transact, {
      startedBy: starterOf(this.#call),
    }));
  }

  readonly #transact = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    this.#services.store.transact(work);
}
