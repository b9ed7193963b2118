import { withPylon } from "@pylonsync/next/config";

export default withPylon({ reactStrictMode: true });
