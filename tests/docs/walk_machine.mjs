/**
 * Walks packages/client/src/machine.ts through every state and every event, and prints what it did as JSON.
 *
 * The names are read from the file's own types; an event carries every field that any event has, once for each
 * value that could make a difference. So a state or an event that is added later is walked through too.
 */
import { readFileSync } from "node:fs";

const FILE = new URL("../../packages/client/src/machine.ts", import.meta.url);
const { INITIAL, transition } = await import(FILE.href);
const source = readFileSync(FILE, "utf8");

const typesOf = (declaration, key) => {
  const start = source.search(new RegExp(`type ${declaration}\\b`));
  const text = source.slice(start, source.indexOf("\n\n", start));
  return [...text.matchAll(new RegExp(`${key}"([\\w-]+)"`, "g"))].map(([, name]) => name);
};
const events = [...typesOf("Outcome", "type: "), ...typesOf("SessionEvent", "type: ")];
const effects = typesOf("Effect", "\\| ");
const names = [...source.matchAll(/readonly name: "([\w-]+)"/g)].map(([, name]) => name);

const token = (sessionId, generation) => ({
  accessToken: `access ${sessionId} ${generation}`,
  userId: "anna",
  sessionId,
  generation,
  receivedAt: 0,
  expiresAt: 1_800_000,
  hint: `family.${generation}`,
});

/** Every event of this type that could be treated differently in this state. */
function* variants(type, state) {
  const mine = "token" in state ? state.token : null;
  const generation = mine?.generation ?? 0;
  const tokens = [token("mine", generation + 1), token("other", 0), ...(mine ? [mine] : [])];
  for (const given of tokens)
    for (const yes of [true, false])
      for (const code of ["refresh_reused", "refresh_missing"])
        for (const sentWith of [mine?.accessToken ?? "none", "another"])
          yield {
            type,
            epoch: state.epoch,
            token: given,
            ending: { code, reason: null },
            retryAfterMs: null,
            elsewhere: yes,
            revoked: yes,
            usable: yes,
            sessionId: given.sessionId,
            sentWith,
            now: 0,
          };
}

/** Alike: states that differ in counts only. */
const kindOf = (state) =>
  JSON.stringify([state.name, Boolean(state.token), state.usable, state.vindicated]);

const steps = {};
const seen = new Map([[kindOf(INITIAL), INITIAL]]);
for (const state of seen.values()) {
  for (const type of events) {
    for (const event of variants(type, state)) {
      const { state: next, effects: done } = transition(state, event);
      if (!seen.has(kindOf(next))) seen.set(kindOf(next), next);
      const found = ((steps[state.name] ??= {})[type] ??= {});
      found[next.name] = [...new Set([...(found[next.name] ?? []), ...done])];
    }
  }
}
process.stdout.write(JSON.stringify({ initial: INITIAL.name, names, events, effects, steps }));
