/** Requests that carry the session. Apart from session.ts, so that the login page needs no axios. */
import { attach } from "@batonpass/client/axios";
import axios from "axios";
import { session } from "./session.ts";

export const http = attach(axios.create({ timeout: 15_000 }), session);
