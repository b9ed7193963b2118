import { pylonMiddleware } from "@pylonsync/next/proxy";

export const proxy = pylonMiddleware({ publicPaths: ["/", "/sign-up"], signIn: "/sign-in" });

// Excludes the paths of Pylon and Next.js: Next.js would buffer the body of an upload in memory for
// a proxy.
export const config = { matcher: "/((?!api/|auth/|_next/).*)" };
