import { useSession } from "@batonpass/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactElement } from "react";
import { usePrivate } from "../api/usePrivate.ts";
import { account } from "../features/account/queries.ts";
import { ChangePasswordForm } from "../features/credentials/ChangePasswordForm.tsx";
import type { ChangeFields } from "../features/credentials/fields.ts";
import { Card } from "../ui/Card.tsx";
import { PageHead } from "../ui/PageHead.tsx";

export function PasswordPage(): ReactElement {
  const { session } = useSession();
  const cache = useQueryClient();
  const email = useQuery(usePrivate(account)).data?.email ?? "";

  async function change(fields: ChangeFields): Promise<void> {
    await session.changePassword(fields);
    void cache.invalidateQueries(); // the other sessions have ended, and it stands in the activity
  }
  return (
    <>
      <PageHead
        title="Change password"
        lead="Every other session ends. You stay signed in on this device."
      />
      <Card>
        <div className="max-w-form p-6">
          <ChangePasswordForm email={email} onSubmit={change} />
        </div>
      </Card>
    </>
  );
}
