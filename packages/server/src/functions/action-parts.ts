import type { FnFetch, FnStorage } from "@pylonsync/functions";
import type { Transaction } from "../store/store.ts";
import { starterOf, type RunningCall } from "./call.ts";
import { actionEmail, type CallEmail } from "./email.ts";
import { functionFetch } from "./function-fetch.ts";
import type { RunnerServices } from "./runner-services.ts";
import { ActionScheduler, startedBy } from "./scheduler.ts";
import { ActionWorkflows } from "./workflows.ts";

/** Rarely used parts of an action's `ctx`, each created on first access. */
export class ActionParts {
  readonly #services: RunnerServices;
  readonly #running: RunningCall;
  #fetch: FnFetch | undefined;
  #email: CallEmail | undefined;
  #storage: FnStorage | undefined;
  #scheduler: ActionScheduler | undefined;
  #workflows: ActionWorkflows | undefined;

  constructor(services: RunnerServices, running: RunningCall) {
    this.#services = services;
    this.#running = running;
  }

  get fetch(): FnFetch {
    const { deadline, trace } = this.#running;
    return (this.#fetch ??= functionFetch(this.#services.sendRequest, deadline, (host, method) =>
      trace.fetching(host, method),
    ));
  }

  get email(): CallEmail {
    const { mail, queue, store } = this.#services;
    return (this.#email ??= actionEmail(mail, queue, store));
  }

  get storage(): FnStorage {
    const { call, trace } = this.#running;
    return (this.#storage ??= trace.measuredStorage(this.#services.storageOf(call.caller)));
  }

  get scheduler(): ActionScheduler {
    const { queue } = this.#services;
    return (this.#scheduler ??= new ActionScheduler(
      startedBy(this.#running.trace.noting(queue), starterOf(this.#running.call)),
      this.#transact(),
    ));
  }

  get workflows(): ActionWorkflows {
    const { queue, workflows } = this.#services;
    return (this.#workflows ??= new ActionWorkflows(workflows, queue, this.#transact(), {
      startedBy: starterOf(this.#running.call),
    }));
  }

  /** Returns the function in which a part runs its transactions. */
  #transact(): <T>(work: (tx: Transaction) => Promise<T>) => Promise<T> {
    const { store } = this.#services;
    return (work) => store.transact(work);
  }
}
