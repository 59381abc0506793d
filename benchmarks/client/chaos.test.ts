/** The figures of `make bench-client` are counted right: on the server that the client's own tests use. */
import { expect, test } from "vitest";
import { type Server, startServer } from "../../packages/client/tests/support/server.ts";
import { plan, type Round, survive } from "./chaos.ts";
import { CONTENDERS, type Contender } from "./contenders.ts";

const ACCOUNT = { email: "anna@example.com", password: "secret" };
const [naive, queue, plugin, parallel, ours] = CONTENDERS as [
  Contender,
  Contender,
  Contender,
  Contender,
  Contender,
];
const TABS_2: Round = { isLossy: false, startsAt: [0, 0] };
const TAB: Round = { isLossy: false, startsAt: [0] };
const LOSSY_TAB: Round = { isLossy: true, startsAt: [0] };
const STRICT = 0;
const LENIENT = 100;

async function during<T>(grace: number, work: (server: Server) => Promise<T>): Promise<T> {
  const server = await startServer();
  server.grace = grace;
  try {
    return await work(server);
  } finally {
    await server.close();
  }
}

test.for([
  // Refreshes that follow each other are none at once: how many are refused is chance on a strict server.
  { client: naive, grace: LENIENT, round: TABS_2, ok: 6, refreshes: 6, lost: 0 },
  { client: queue, grace: LENIENT, round: TABS_2, ok: 6, refreshes: 2, lost: 0 },
  { client: ours, grace: STRICT, round: TABS_2, ok: 6, refreshes: 1, lost: 0 },
  { client: plugin, grace: STRICT, round: TAB, ok: 1, refreshes: 1, lost: 0 },
  { client: parallel, grace: STRICT, round: TAB, ok: 3, refreshes: 1, lost: 0 },
  { client: queue, grace: STRICT, round: LOSSY_TAB, ok: 0, refreshes: 1, lost: 0 },
])(
  "$client.name: $ok requests, $refreshes refreshes, $lost lost",
  async ({ client, grace, round, ok, refreshes, lost }) => {
    const tally = await during(grace, (server) =>
      survive(
        client,
        {
          origin: server.origin,
          account: ACCOUNT,
          expire: async () => server.expireAccessTokens(),
        },
        { rounds: [round], requestsPerTab: 3 },
      ),
    );

    expect(tally).toEqual({ requests: round.startsAt.length * 3, ok, refreshes, lost });
  },
);

test("a session that a lost answer ends is lost once, and the user logs in again", async () => {
  const tally = await during(STRICT, (server) =>
    survive(
      queue,
      { origin: server.origin, account: ACCOUNT, expire: async () => server.expireAccessTokens() },
      { rounds: [LOSSY_TAB, TAB, TAB], requestsPerTab: 3 },
    ),
  );

  expect(tally).toEqual({ requests: 9, ok: 3, refreshes: 3, lost: 1 });
});

test("the same seed gives the same days, another one others", () => {
  expect(plan(1, 20, 4, 0.5)).toEqual(plan(1, 20, 4, 0.5));
  expect(plan(1, 20, 4, 0.5)).not.toEqual(plan(2, 20, 4, 0.5));
});
