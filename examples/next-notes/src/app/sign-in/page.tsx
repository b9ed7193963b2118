import { SignIn } from "@pylonsync/next";
import { safePath } from "@pylonsync/next/server";

export default async function Page({
  searchParams,
}: {
  readonly searchParams: Promise<{ readonly next?: string | string[] }>;
}) {
  const { next } = await searchParams;
  return (
    <main>
      <h1>Sign in</h1>
      <SignIn redirectTo={safePath(next, "/notes")} signUpUrl="/sign-up" />
    </main>
  );
}
