import { Button } from "@/ui/button";

import { LoginLayout } from "./login-layout";

/** The same words whether or not somebody has the e-mail. */
export function MailStep({ email, what, onStartAgain }: { email: string; what: "link" | "reset"; onStartAgain: () => void }) {
  return (
    <LoginLayout title="Look into your mail" lead={<>If <span className="font-medium break-all text-ink">{email}</span> has an account here, a link is on its way.</>}>
      <p role="status">
        {what === "link"
          ? "Open it in this browser, on this device. It signs you in once, for 15 minutes."
          : "It lets you set a new password, once, for 15 minutes."}
      </p>
      <p className="text-[0.875rem] text-soft">Nothing there after a minute? Look among the unwanted mail, or ask your administrator whether the address is right.</p>
      <Button variant="quiet" onClick={onStartAgain} className="self-start">Back to the sign-in</Button>
    </LoginLayout>
  );
}
