/** The one session of this page, and the HTTP client whose requests carry it. */
import { createSession } from "@batonpass/client";
import { attach } from "@batonpass/client/axios";
import axios from "axios";

export const session = createSession();

export const http = attach(axios.create({ timeout: 15_000 }), session);
