import { pylonMiddleware } from "@pylonsync/next/proxy";

export const proxy = pylonMiddleware({ publicPaths: ["/", "/sign-up"], signIn: "/sign-in" });

// What Pylon and Next serve is left out altogether: Next would hold the body of an upload in memory
// for a proxy.
export const config = { matcher: "/((?!api/|auth/|_next/).*)" };
