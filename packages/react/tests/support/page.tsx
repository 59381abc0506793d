/**
 * A page to render into: happy-dom's document beside Node's real fetch, locks and channels, and the client's
 * own test world (a real server, a browser with tabs).
 */
import { Window } from "happy-dom";
import { act, type ReactNode, StrictMode } from "react";
import { afterEach } from "vitest";

const INBOX = "http://app.example/inbox";

const window = new Window({ url: INBOX });
Object.assign(globalThis, {
  window,
  document: window.document,
  Event: window.Event,
  FormData: window.FormData,
  location: window.location,
  HTMLElement: window.HTMLElement,
  HTMLIFrameElement: window.HTMLIFrameElement,
  MouseEvent: window.MouseEvent,
  Node: window.Node,
  IS_REACT_ACT_ENVIRONMENT: true,
});

// Only now: react-dom looks at the document while it is loaded.
const { createRoot } = await import("react-dom/client");

const unmounts = new Set<() => void>();

export interface Page {
  readonly text: () => string;
  readonly find: (selector: string) => Element | null;
  readonly unmount: () => void;
}

export async function render(children: ReactNode): Promise<Page> {
  const container = document.body.appendChild(document.createElement("main"));
  const root = createRoot(container);
  await act(async () => root.render(<StrictMode>{children}</StrictMode>));
  const unmount = (): void => {
    if (unmounts.delete(unmount)) act(() => root.unmount());
  };
  unmounts.add(unmount);
  return {
    text: () => container.textContent ?? "",
    find: (selector) => container.querySelector(selector),
    unmount,
  };
}

/** The address that the page to be rendered stands at. */
export function visit(path: string): void {
  window.happyDOM.setURL(new URL(path, INBOX).href);
}

/** Let React see what the session does meanwhile. */
export async function settled(work: () => unknown): Promise<void> {
  await act(async () => {
    await work();
  });
}

/** Until the page shows it: React renders only between the looks. */
export async function shown(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 200) throw new Error(`Never shown: ${condition}`);
    await settled(() => new Promise((later) => setTimeout(later, 5)));
  }
}

afterEach(() => {
  for (const unmount of unmounts) unmount();
  document.body.replaceChildren();
  visit(INBOX);
});
