import { Account } from "@pylonsync/next";
import { requireSession } from "@pylonsync/next/server";

export default async function Page() {
  await requireSession({ redirectTo: "/account" });
  return (
    <main>
      <h1>Your account</h1>
      <Account redirectTo="/" />
    </main>
  );
}
