import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: ["{packages/*,web,benchmarks/client}"], // a glob: web may not be there
    reporters: ["default"],
  },
});
