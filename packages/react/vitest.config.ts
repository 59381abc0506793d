import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Node's own fetch, locks and channels, and a document beside them (tests/support/page.ts). */
const config: ViteUserConfig = defineConfig({
  test: { name: "react", environment: "node", include: ["tests/**/*.test.tsx"] },
});
export default config;
