/**
 * `node main.ts batonpass-server life-in-ms`: every client, all at once, each with a user and a wire of its own.
 *
 * On a real Batonpass server, whose tokens live for a moment; and on the one that our client is tested against,
 * with grace 0: a spent token that comes again ends the session, however it came to that (RFC 9700, 4.14.2).
 */
import axios from "axios";
import { startServer } from "../../packages/client/tests/support/server.ts";
import { plan, survive, type Tally } from "./chaos.ts";
import { CONTENDERS, type Contender } from "./contenders.ts";

const SEED = 5;
const TABS = 4;
const REQUESTS_PER_TAB = 8;
const ROUNDS = 12;
const LOSS_RATE = 0.25;

/** So that a token fetched a second later, by a client that tries again, is over by the next round too. */
const RETRY_MS = 1_500;

const [batonpass = "", lifeMs = ""] = process.argv.slice(2);
const rounds = plan(SEED, ROUNDS, TABS, LOSS_RATE);
const days = { rounds, requestsPerTab: REQUESTS_PER_TAB };
const wait = (ms: number) => new Promise((over) => setTimeout(over, ms));

async function onBatonpass(contender: Contender, number: number): Promise<Tally> {
  const account = { email: `user-${number}@example.com`, password: "a long walk at noon" };
  await axios.post(`${batonpass}/auth/register`, account, { proxy: false });
  const expire = () => wait(Number(lifeMs) + RETRY_MS);
  return survive(contender, { origin: batonpass, account, expire }, days);
}

async function onStrict(contender: Contender): Promise<Tally> {
  const server = await startServer(); // its grace is 0
  const account = { email: "anna@example.com", password: "secret" };
  const expire = async () => {
    await wait(RETRY_MS);
    server.expireAccessTokens();
  };
  const tally = await survive(contender, { origin: server.origin, account, expire }, days);
  await server.close();
  return tally;
}

const cells = ({ requests, ok, refreshes, lost }: Tally): string =>
  `${ok} of ${requests} | ${refreshes} | ${lost}`;

const rows = await Promise.all(
  CONTENDERS.map(async (contender, number) => {
    const tallies = await Promise.all([onStrict(contender), onBatonpass(contender, number)]);
    return `| ${contender.name} | ${tallies.map(cells).join(" | ")} |`;
  }),
);
const lossy = rounds.filter(({ isLossy }) => isLossy).length;
const columns = "requests OK | refreshes | sessions lost";
process.stdout.write(
  `${TABS} tabs × ${REQUESTS_PER_TAB} requests × ${ROUNDS} expiries; in ${lossy} of them the first refresh's answer is lost\n\n` +
    `| client | no grace: ${columns} | Batonpass: ${columns} |\n| --- |${" ---: |".repeat(6)}\n` +
    `${rows.join("\n")}\n`,
);
