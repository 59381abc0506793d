import { cleanup, render } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SessionItem } from "../../api/routes.ts";
import { BriefLimits } from "./BriefLimits.tsx";
import { Limits } from "./Limits.tsx";

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(2026, 10, 23, 12) });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const at = (day: number, hour = 20): string => new Date(2026, 10, day, hour, 46).toISOString();

function until(idle: string, absolute: string): SessionItem {
  return {
    id: "s1",
    created_at: at(22),
    last_used_at: at(23, 11),
    idle_expires_at: idle,
    expires_at: absolute,
    ended_at: null,
    ended_reason: null,
    ip: null,
    device: null,
    current: false,
  };
}

test.each([
  {
    what: "both limits",
    item: until(at(27), at(29)),
    long: "Signed in until 27 November, longer whenever you use it, until 29 November at the latest.",
    brief: "Until 27 November if unused, 29 November at the latest",
  },
  {
    what: "the hour of a limit that is near",
    item: until(at(24), at(29)),
    long: "Signed in until tomorrow, 20:46, longer whenever you use it, until 29 November at the latest.",
    brief: "Until tomorrow, 20:46 if unused, 29 November at the latest",
  },
  {
    what: "one where use moves nothing any more",
    item: until(at(23), at(23)),
    long: "Signed in until today, 20:46 at the latest.",
    brief: "Until today, 20:46 at the latest",
  },
])("tell $what", ({ item, long, brief }) => {
  const text = (face: React.ReactElement): string | null => render(face).container.textContent;

  expect(text(<Limits item={item} />)).toBe(long);
  expect(text(<BriefLimits item={item} />)).toBe(brief);
});

test("each limit is a time for machines too, the exact one on hover", () => {
  const { container } = render(<BriefLimits item={until(at(27), at(29))} />);

  const times = [...container.querySelectorAll("time")];
  expect(times.map(({ dateTime }) => dateTime)).toEqual([at(27), at(29)]);
  for (const time of times) expect(time.title).toMatch(/November 2026 at 20:46:00/);
});
