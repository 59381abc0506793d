import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Node has real Web Locks and a real BroadcastChannel: no browser is imitated here. */
const config: ViteUserConfig = defineConfig({
  test: {
    name: "client",
    environment: "node",
    restoreMocks: true,
    include: ["tests/**/*.test.ts"],
  },
});
export default config;
