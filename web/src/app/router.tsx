import { safeReturnTo } from "@batonpass/client";
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  notFound,
  Outlet,
} from "@tanstack/react-router";
import { NotFoundPage } from "../pages/NotFoundPage.tsx";
import { hasLab } from "./lab.ts";
import { Public } from "./Public.tsx";

interface LoginSearch {
  readonly return_to?: string;
}

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFoundPage });

const publicPages = createRoute({
  getParentRoute: () => root,
  id: "public",
  // Checked at the door: a page on another site is no place to return to.
  validateSearch: (search: Record<string, unknown>): LoginSearch =>
    typeof search.return_to === "string" ? { return_to: safeReturnTo(search.return_to) } : {},
  component: function PublicPages() {
    return <Public returnTo={publicPages.useSearch().return_to ?? "/"} />;
  },
});

const login = createRoute({
  getParentRoute: () => publicPages,
  path: "/login",
  component: lazyRouteComponent(() => import("../pages/LoginPage.tsx"), "LoginPage"),
});

const register = createRoute({
  getParentRoute: () => publicPages,
  path: "/register",
  component: lazyRouteComponent(() => import("../pages/RegisterPage.tsx"), "RegisterPage"),
});

// Beside the others: whoever is signed in already, perhaps as somebody else, can still finish.
const finishRegistration = createRoute({
  getParentRoute: () => root,
  path: "/register/finish",
  component: lazyRouteComponent(
    () => import("../pages/FinishRegistrationPage.tsx"),
    "FinishRegistrationPage",
  ),
});

const privatePages = createRoute({
  getParentRoute: () => root,
  id: "private",
  component: lazyRouteComponent(() => import("./Private.tsx"), "Private"),
});

const overview = createRoute({
  getParentRoute: () => privatePages,
  path: "/",
  component: lazyRouteComponent(() => import("../pages/OverviewPage.tsx"), "OverviewPage"),
});

const sessions = createRoute({
  getParentRoute: () => privatePages,
  path: "/sessions",
  component: lazyRouteComponent(() => import("../pages/SessionsPage.tsx"), "SessionsPage"),
});

const session = createRoute({
  getParentRoute: () => privatePages,
  path: "/sessions/$id",
  component: lazyRouteComponent(() => import("../pages/SessionPage.tsx"), "SessionPage"),
});

const activity = createRoute({
  getParentRoute: () => privatePages,
  path: "/activity",
  component: lazyRouteComponent(() => import("../pages/ActivityPage.tsx"), "ActivityPage"),
});

const password = createRoute({
  getParentRoute: () => privatePages,
  path: "/settings/password",
  component: lazyRouteComponent(() => import("../pages/PasswordPage.tsx"), "PasswordPage"),
});

const lab = createRoute({
  getParentRoute: () => privatePages,
  path: "/lab",
  beforeLoad: () => {
    if (!hasLab) throw notFound();
  },
  component: lazyRouteComponent(() => import("../pages/LabPage.tsx"), "LabPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    publicPages.addChildren([login, register]),
    finishRegistration,
    privatePages.addChildren([overview, sessions, session, activity, password, lab]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
