import { parseAnswer } from "@pylonsync/sync";
import * as v from "valibot";
import { getEngine } from "../client.ts";
import type { AuthCallOptions } from "./calls.ts";

/** An organization that the user is a member of. */
export interface UserOrganization {
  readonly id: string;
  readonly name: string;
  /** The user's role in the organization, such as `owner`. */
  readonly role: string;
}

const OrganizationSchema = v.object({ id: v.string(), name: v.string(), role: v.string() });

/**
 * Lists the organizations that the user is a member of.
 *
 * @throws PylonClientError
 *
 * @example
 * const names = (await listOrganizations()).map(({ name }) => name);
 */
export async function listOrganizations({ sync = getEngine() }: AuthCallOptions = {}): Promise<
  readonly UserOrganization[]
> {
  const answer = await sync.request("GET", "/api/auth/orgs");
  return parseAnswer(v.array(OrganizationSchema), answer);
}

/**
 * Creates an organization that the user owns. Switch to it with `selectOrganization`.
 *
 * @throws PylonClientError MISSING_NAME
 *
 * @example
 * const { id } = await createOrganization("Acme");
 * await selectOrganization(id);
 */
export async function createOrganization(
  name: string,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<UserOrganization> {
  return parseAnswer(OrganizationSchema, await sync.request("POST", "/api/auth/orgs", { name }));
}

/**
 * Switches the session to an organization: its id becomes `auth.tenantId` in policies.
 *
 * @param id null: no organization
 * @throws PylonClientError NOT_A_MEMBER
 *
 * @example
 * const [first] = await listOrganizations();
 * await selectOrganization(first?.id ?? null);
 */
export async function selectOrganization(
  id: string | null,
  { sync = getEngine() }: AuthCallOptions = {},
): Promise<void> {
  await sync.request("POST", "/api/auth/select-org", { orgId: id });
  sync.notifySessionChanged();
}
