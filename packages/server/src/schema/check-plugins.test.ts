import { expect, test } from "bun:test";
import { checkPlugins } from "./check-plugins.ts";

test("unknown plugins and settings are named with the known ones; the app's own are not", () => {
  const found = [
    ...checkPlugins([
      { name: "file_storag" },
      { name: "file_storage", config: { buckt: "x", backend: "s3" } },
      { name: "cache_client", config: { url: "redis://x" } },
      { name: "cache_client" },
      { name: "mine", custom: true, config: { anything: 1 } },
    ]),
  ];
  expect(found.map(({ code, path, hint }) => [code, path, hint])).toEqual([
    [
      "PLUGIN_UNKNOWN",
      "plugins[0].name",
      'Did you mean "file_storage"? Known: file_storage, cache_client.',
    ],
    [
      "PLUGIN_CONFIG_UNKNOWN",
      "plugins[1].config.buckt",
      'Did you mean "bucket"? Known: backend, bucket, region, endpoint, dir, maxBytes, read, ' +
        "direct.",
    ],
    ["PLUGIN_DUPLICATE", "plugins[3].name", undefined],
  ]);
});
