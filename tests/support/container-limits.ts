import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

export interface ContainerSize {
  /** The number of processors, possibly a fraction. */
  readonly cpus: number;
  readonly memoryBytes: number;
}

/**
 * The resources of a container, for processes of a test: a share of a processor, and a memory limit
 * beyond which the kernel kills.
 */
export class ContainerLimits implements Disposable {
  readonly #groups: readonly string[];
  readonly #events: string;

  private constructor(groups: readonly string[], events: string) {
    this.#groups = groups;
    this.#events = events;
  }

  /** @returns null if this machine, or this user, can't limit processes */
  static create(size: ContainerSize): ContainerLimits | null {
    try {
      return existsSync(join(ROOT, "cgroup.controllers")) ? unified(size) : separate(size);
    } catch {
      return null;
    }

    function unified({ cpus, memoryBytes }: ContainerSize): ContainerLimits {
      const group = join(ROOT, `pylon-${crypto.randomUUID()}`);
      writeFileSync(join(ROOT, "cgroup.subtree_control"), "+cpu +memory");
      mkdirSync(group);
      writeFileSync(join(group, "cpu.max"), `${cpus * PERIOD_US} ${PERIOD_US}`);
      writeFileSync(join(group, "memory.max"), String(memoryBytes));
      return new ContainerLimits([group], join(group, "memory.events"));
    }

    function separate({ cpus, memoryBytes }: ContainerSize): ContainerLimits {
      const name = `pylon-${crypto.randomUUID()}`;
      const [cpu, memory] = [join(ROOT, "cpu", name), join(ROOT, "memory", name)];
      mkdirSync(cpu);
      mkdirSync(memory);
      writeFileSync(join(cpu, "cpu.cfs_period_us"), String(PERIOD_US));
      writeFileSync(join(cpu, "cpu.cfs_quota_us"), String(cpus * PERIOD_US));
      writeFileSync(join(memory, "memory.limit_in_bytes"), String(memoryBytes));
      return new ContainerLimits([cpu, memory], join(memory, "memory.oom_control"));
    }
  }

  /** Returns a command that runs another one within the limits. */
  wrap(command: readonly string[]): string[] {
    return wrapped(
      this.#groups.map((group) => join(group, "cgroup.procs")),
      command,
    );
  }

  /** Whether a process runs within the limits. */
  holds(pid: number): boolean {
    return this.#groups.every((group) =>
      readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").includes(String(pid)),
    );
  }

  /** The number of processes that the kernel killed for lack of memory. */
  get kills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(this.#events, "utf8"))?.[1] ?? 0);
  }

  /** Its processes must have ended. */
  [Symbol.dispose](): void {
    for (const group of this.#groups) rmdirSync(group);
  }
}

/** Returns a command that runs another one with as many open files as this user may have. */
export function withOpenFiles(command: readonly string[]): string[] {
  return wrapped([], command);
}

function wrapped(procs: readonly string[], command: readonly string[]): string[] {
  const joining = procs.map((file) => `echo $$ > ${file}`);
  return [
    "sh",
    "-ec",
    [...joining, 'ulimit -n "$(ulimit -Hn)"', 'exec "$@"'].join("\n"),
    "sh",
    ...command,
  ];
}

/** The peak resident memory of a process so far, in bytes. */
export function peakResidentBytes(pid: number): number {
  return (
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
  );
}

/** The processor time that a process has used so far, in seconds. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
