import { expect, test } from "vitest";
import { howItFared } from "./lineage.ts";

const steps = (...kinds: string[]) =>
  kinds.map((kind, generation) => ({ kind, generation, at: "", ip: null, device: null }));

test.each([
  [steps("created", "rotated"), "Nothing unusual has happened in it."],
  [steps("created", "recovered", "rotated"), "We noticed a hiccup in it and kept you signed in."],
  [steps("created", "recovered", "elsewhere"), "It was also used from another device or network."],
  [steps("created", "elsewhere", "reused"), "An old copy of it was used."],
])("the gravest step is the one that is told: %#", (lineage, said) => {
  expect(howItFared(lineage)).toBe(said);
});
