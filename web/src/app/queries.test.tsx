import { renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { usePrivateCache } from "./queries.ts";

const forUser = (userId: string | null) =>
  renderHook(({ userId }) => usePrivateCache(userId), { initialProps: { userId } });

test("what is read while booting belongs to whoever turns out to be signed in", () => {
  const { result, rerender } = forUser(null);
  const { client, key } = result.current;

  rerender({ userId: "ada" });

  expect(result.current).toMatchObject({ client, key, owner: "ada" });
});

test("another user gets another cache, and the first one's is emptied", () => {
  const { result, rerender } = forUser("ada");
  const { client: adas, key } = result.current;
  adas.setQueryData(["account"], "ada@example.org");

  rerender({ userId: "eve" });

  expect(result.current.client).not.toBe(adas);
  expect(result.current.key).not.toBe(key);
  expect(result.current.client.getQueryData(["account"])).toBeUndefined();
  expect(adas.getQueryData(["account"])).toBeUndefined();
});

test("a logout, which takes the pages away, leaves nothing behind", () => {
  const { result, unmount } = forUser("ada");
  const { client } = result.current;
  client.setQueryData(["account"], "ada@example.org");

  unmount();

  expect(client.getQueryData(["account"])).toBeUndefined();
});
