import { db, getBaseUrl, init, storageKey, useRoom } from "@pylonsync/react";
import { useEffect, useState, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { SignIn } from "./sign-in.tsx";

interface Org {
  id: string;
  name: string;
}
interface OrgMember {
  id: string;
  orgId: string;
  role: string;
}
interface Invoice {
  id: string;
  orgId: string;
  number: string;
  total: number;
}
interface MonthSum {
  createdAt_month: string;
  sum_total: number;
}

init({ baseUrl: location.origin, appName: "erp" });

const headers = (): Record<string, string> => ({
  "Content-Type": "application/json",
  Authorization: `Bearer ${localStorage.getItem(storageKey("token"))}`,
});

async function selectOrg(orgId: string | null): Promise<void> {
  const response = await fetch(`${getBaseUrl()}/api/auth/select-org`, {
    method: "POST",
    headers: headers(),
    body: JSON.stringify({ orgId }),
  });
  if (!response.ok) throw new Error("not a member");
  await db.sync.notifySessionChanged();
}

/** Removes an old token at the start if the server does not accept it for any user. */
async function dropStaleSession(): Promise<void> {
  const response = await fetch(`${getBaseUrl()}/api/auth/me`, { headers: headers() });
  if (!response.ok) return;
  const { user_id: userId } = (await response.json()) as { user_id: string | null };
  if (userId === null) localStorage.removeItem(storageKey("token"));
}

function Invoices({ orgId, userId }: { orgId: string; userId: string }): ReactElement {
  const { data: invoices } = db.useQuery<Invoice>("Invoice", {
    where: { orgId },
    orderBy: { number: "asc" },
  });
  const { data: months } = db.useAggregate<MonthSum>("Invoice", {
    sum: ["total"],
    groupBy: [{ field: "createdAt", bucket: "month" }],
  });
  const { peers } = useRoom(`org:${orgId}`, userId);
  const add = (total: number): void => {
    void db.insert("Invoice", {
      orgId,
      number: `inv-${invoices.length + 1}`,
      total,
      createdAt: "2026-03-01T00:00:00.000Z",
    });
  };
  return (
    <section aria-label="Invoices">
      <button onClick={() => add(100)}>Add invoice</button>
      <ul>
        {invoices.map((invoice) => (
          <li key={invoice.id}>
            {invoice.number}: {invoice.total}
          </li>
        ))}
      </ul>
      {(months ?? []).map((row) => (
        <output key={row.createdAt_month}>
          {row.createdAt_month}: {row.sum_total}
        </output>
      ))}
      <p role="status">{peers.length} others</p>
    </section>
  );
}

function Books({ userId, tenantId }: { userId: string; tenantId: string | null }): ReactElement {
  const { data: members, loading } = db.useQuery<OrgMember>("OrgMember", { where: { userId } });
  const { data: orgs } = db.useQuery<Org>("Org");
  const [failure, setFailure] = useState<string | null>(null);
  const create = db.useMutation<{ name: string }, { orgId: string }>("createOrg");
  const setRole = db.useMutation<{ memberId: string; role: string }>("setRole");
  const only = members.length === 1 ? members[0]?.orgId : undefined;
  // The only organization of a user is selected automatically.
  useEffect(() => {
    if (tenantId === null && only !== undefined) void selectOrg(only);
  }, [tenantId, only]);
  const open = async (): Promise<void> => {
    const { orgId } = await create.mutate({ name: `Org ${orgs.length + 1}` });
    await selectOrg(orgId);
  };
  const crown = async (): Promise<void> => {
    try {
      await setRole.mutate({ memberId: members[0]?.id ?? "", role: "king" });
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  if (loading) return <p>Loading</p>;
  return (
    <>
      <h1>{orgs.find(({ id }) => id === tenantId)?.name ?? "No organization"}</h1>
      <button onClick={() => void open()}>New organization</button>
      {orgs.map(({ id, name }) => (
        <button key={id} onClick={() => void selectOrg(id)}>
          Open {name}
        </button>
      ))}
      <button onClick={() => void selectOrg(null)}>Close</button>
      <button onClick={() => void crown()}>Crown</button>
      {failure && <span role="alert">{failure}</span>}
      {tenantId && <Invoices orgId={tenantId} userId={userId} />}
    </>
  );
}

function App(): ReactElement {
  const { userId, tenantId } = db.useSession();
  return userId === null ? <SignIn /> : <Books userId={userId} tenantId={tenantId} />;
}

await dropStaleSession();
const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<App />);
