import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: { name: "react", environment: "happy-dom", include: ["tests/**/*.test.tsx"] },
});
export default config;
