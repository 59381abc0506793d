import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useCountdown } from "./useCountdown.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number): void => act(() => void vi.advanceTimersByTime(ms));

test("counts down to nothing, and stays there", () => {
  const { result } = renderHook(() => useCountdown(2_000, "first"));

  pass(1_000);
  expect(result.current).toBe(1_000);
  pass(5_000);
  expect(result.current).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("starts again for another wait of the same length", () => {
  const { result, rerender } = renderHook(({ since }) => useCountdown(2_000, since), {
    initialProps: { since: "first" },
  });
  pass(2_000);

  rerender({ since: "second" });

  expect(result.current).toBe(2_000);
});
