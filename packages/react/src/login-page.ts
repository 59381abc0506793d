/** The login page is where the link leads, whatever it should lead back to. */
export function isHere(loginUrl: string): boolean {
  const { origin, pathname } = new URL(loginUrl, location.href);
  return origin === location.origin && pathname === location.pathname;
}
