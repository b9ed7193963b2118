import { PylonProvider, UserButton } from "@pylonsync/next";
import { auth } from "@pylonsync/next/server";
import "@pylonsync/react/styles.css";
import type { ReactNode } from "react";
import "./style.css";

export const metadata = { title: "Notes" };

export default async function Layout({ children }: { readonly children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <PylonProvider session={await auth()} socketUrl={process.env["PYLON_SOCKET_URL"]}>
          <header>
            <a href="/notes">Notes</a>
            <UserButton accountUrl="/account" redirectTo="/" />
          </header>
          {children}
        </PylonProvider>
      </body>
    </html>
  );
}
