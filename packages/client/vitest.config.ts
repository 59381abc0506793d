import { defineConfig } from "vitest/config";

/** Node has real Web Locks and a real BroadcastChannel: no browser is imitated here. */
export default defineConfig({
  test: { name: "client", environment: "node", include: ["tests/**/*.test.ts"] },
});
