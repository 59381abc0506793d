import { queryOptions } from "@tanstack/react-query";
import { getAccount } from "../../api/routes.ts";

export const account = queryOptions({
  queryKey: ["account"],
  queryFn: ({ signal }) => getAccount(signal),
});
