import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type HtmlTagDescriptor, type Plugin } from "vite";

const THEME_SCRIPT = "src/app/theme-first.js";

/**
 * What must be there before the first paint: the chosen theme and the text's font.
 *
 * The theme script is a file of its own because the server's policy forbids inline scripts, and no
 * module because modules wait for the page.
 */
function firstPaint(): Plugin {
  return {
    name: "batonpass:first-paint",
    buildStart() {
      if (this.environment.mode !== "build") return;
      this.emitFile({
        type: "asset",
        name: "theme.js",
        source: readFileSync(new URL(THEME_SCRIPT, import.meta.url)),
      });
    },
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle }) {
        if (!bundle) return [script(`/${THEME_SCRIPT}`)];
        const files = Object.keys(bundle);
        const theme = files.find((file) => /^assets\/theme-.*\.js$/.test(file));
        const font = files.find((file) => /^assets\/inter-latin-wght-.*\.woff2$/.test(file));
        if (!theme || !font) throw new Error("The theme script or the font is missing.");
        return [script(`/${theme}`), preload(`/${font}`)];
      },
    },
  };
}

/** The API's page of the server: Swagger UI from its package, under names that stay. */
function apiDocs(): Plugin {
  const files = {
    "api-docs.js": new URL("src/app/api-docs.js", import.meta.url),
    "swagger-ui-bundle.js": import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js"),
    "swagger-ui.css": import.meta.resolve("swagger-ui-dist/swagger-ui.css"),
  };
  return {
    name: "batonpass:api-docs",
    buildStart() {
      if (this.environment.mode !== "build") return;
      for (const [fileName, url] of Object.entries(files)) {
        this.emitFile({ type: "asset", fileName, source: readFileSync(new URL(url)) });
      }
    },
  };
}

/** axios without its fetch adapter: in a browser it takes XMLHttpRequest, and never gets to that one. */
function oneAdapter(): Plugin {
  const none = "\0batonpass:no-adapter";
  return {
    name: "batonpass:one-adapter",
    apply: "build",
    enforce: "pre",
    resolveId: (source, importer) =>
      source === "./fetch.js" && importer?.includes("/axios/lib/adapters/") ? none : null,
    load: (id) => (id === none ? "export const getFetch = undefined;" : null),
  };
}

/** Beside each text file what the server sends of it: packed here, once, so that no request waits for it. */
function packed(): Plugin {
  return {
    name: "batonpass:packed",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (!/\.(js|css|svg)$/.test(file.fileName)) continue;
          const content = file.type === "chunk" ? file.code : file.source;
          this.emitFile({
            type: "asset",
            fileName: `${file.fileName}.gz`,
            source: gzipSync(content, { level: 9 }),
          });
        }
      },
    },
  };
}

const script = (src: string): HtmlTagDescriptor => ({
  tag: "script",
  attrs: { src },
  injectTo: "head-prepend",
});

const preload = (href: string): HtmlTagDescriptor => ({
  tag: "link",
  attrs: { rel: "preload", as: "font", type: "font/woff2", href, crossorigin: true },
  injectTo: "head",
});

/** What every page needs and few releases change: browsers keep it from one release to the next. */
const BASE = {
  name: "base",
  test: /node_modules.(react|react-dom|scheduler|use-sync-external-store|@tanstack.(react-router|router-core|history|store|react-store))\/|packages\/(react|client\/dist\/index)/,
};

/** What all pages share, and what those of a signed-in user need: a few files pack better than crumbs. */
const SHARED = {
  name: "shared",
  test: /web\/src\/(ui\/(?!Checkbox|PasswordField|TextField)|api\/session|app\/lab)/, // forms are few pages'
};
const PRIVATE = {
  name: "private",
  test: new RegExp(
    [
      "node_modules/(axios|@tanstack/(react-query|query-core))/",
      "packages/client/dist/axios",
      "web/src/api/(failure|http|routes|usePrivate)",
      "web/src/app/(Private|Shell|queries)",
      "web/src/features/(account|connection)/",
      "web/src/features/sessions/(queries|device|lineage|why-ended)\\.ts",
    ].join("|"),
  ),
};

/** What several of those pages show, but not each. */
const SESSIONS = {
  name: "sessions",
  test: /web\/src\/features\/sessions\/(Limits|SessionSummary|SessionsSkeleton|ThisDevice)\.tsx/,
};
const EVENTS = { name: "events", test: /web\/src\/features\/events\// };

const SERVER = process.env.BATONPASS_SERVER ?? "http://localhost:8000";

export default defineConfig({
  plugins: [react(), tailwindcss(), firstPaint(), oneAdapter(), apiDocs(), packed()],
  build: {
    outDir: "../src/batonpass/server/static",
    emptyOutDir: true,
    modulePreload: { polyfill: false }, // every browser that the build is for has it
    rolldownOptions: {
      output: {
        codeSplitting: {
          // The first that fits: what a later one needs as well stays where it is.
          groups: [BASE, SHARED, PRIVATE, SESSIONS, EVENTS].map((group, at) => ({
            ...group,
            priority: 5 - at,
          })),
        },
      },
    },
    assetsInlineLimit: 0, // the policy's font-src is 'self': no data: URL
  },
  server: { proxy: { "/auth": SERVER } },
  preview: { proxy: { "/auth": SERVER } },
});
