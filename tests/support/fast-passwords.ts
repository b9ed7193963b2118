import { afterAll, beforeAll } from "bun:test";

/**
 * Lets the servers in this process hash passwords at a low cost during the tests of this file. At
 * the server's own cost each guess of a password takes 40 ms of CPU time.
 */
export function hashAtLowCost(): void {
  const { hash } = Bun.password;
  beforeAll(() => {
    Bun.password.hash = (password, algorithm) =>
      typeof algorithm === "object" && algorithm.algorithm !== "bcrypt"
        ? hash.call(Bun.password, password, { ...algorithm, memoryCost: 1_024, timeCost: 1 })
        : hash.call(Bun.password, password, algorithm);
  });
  afterAll(() => {
    Bun.password.hash = hash;
  });
}
