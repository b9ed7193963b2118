import { expect, test } from "bun:test";
import { checkPlugins } from "./check-plugins.ts";

test("unknown plugins and settings are reported with the known ones, except the app's own", () => {
  const found = [
    ...checkPlugins([
      { name: "file_storag" },
      { name: "file_storage", config: { buckt: "x", backend: "s3" } },
      { name: "cache_client", config: { url: "redis://x" } },
      { name: "cache_client" },
      { name: "mine", custom: true, config: { anything: 1 } },
      { name: "mine", custom: true },
      { name: "soft_delete", custom: true },
      { name: "soft_delete", custom: true },
      { name: "soft_delete", config: {} },
    ]),
  ];
  expect(found.map(({ code, path, hint }) => [code, path, hint])).toEqual([
    [
      "PLUGIN_UNKNOWN",
      "plugins[0].name",
      'Did you mean "file_storage"? Known: file_storage, cache_client, ai_proxy, mcp, ' +
        "audit_log, cascade, computed, email, feature_flags, rate_limit, slugify, soft_delete, " +
        "tenant_scope, " +
        "timestamps, validation, versioning, webhooks.",
    ],
    [
      "PLUGIN_CONFIG_UNKNOWN",
      "plugins[1].config.buckt",
      'Did you mean "bucket"? Known: backend, bucket, region, endpoint, dir, maxBytes, read, ' +
        "direct.",
    ],
    ["PLUGIN_DUPLICATE", "plugins[3].name", undefined],
    ["PLUGIN_DUPLICATE", "plugins[7].name", undefined],
    [
      "PLUGIN_UNKNOWN",
      "plugins[8].name",
      "Use plugins: [softDelete({ ... })], with softDelete from @pylonsync/sdk/plugins.",
    ],
  ]);
});
