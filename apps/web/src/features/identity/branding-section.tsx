"use client";

import { asProblem } from "@plasma/client/problem";
import type { Branding } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { usePutBranding } from "@/data/tenants/mutations";
import { brandingQuery } from "@/data/tenants/queries";
import { Button } from "@/ui/button";
import { TextAreaField, TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { useToast } from "@/ui/toast";

import { ColorField } from "./color-field";
import { DomainField } from "./domain-field";
import { LogoField } from "./logo-field";
import { useDenied } from "./session";

/** How the workspace looks, and what its mails say. */
export function BrandingSection() {
  const branding = useQuery(brandingQuery);
  return (
    <Section title="Look" lead="What people see here and in mails of this workspace.">
      <QueryView query={branding} loading={<SkeletonRows rows={3} />}>
        {(data) => (
          <div className="flex max-w-xl flex-col gap-8">
            <LogoField hash={data.logo} />
            <BrandingForm branding={data} />
            <DomainField domain={data.domain} />
          </div>
        )}
      </QueryView>
    </Section>
  );
}

const FIELDS = ["accent_color", "accent_color_dark", "support_contact", "mail_footer"];

const orNull = (text: string) => (text.trim() === "" ? null : text.trim());

function BrandingForm({ branding }: { branding: Branding }) {
  const put = usePutBranding();
  const denied = useDenied("tenants:write");
  const notify = useToast();
  const chosenDark = branding.accent_color_dark_is_chosen ? (branding.accent_color_dark ?? "") : "";
  const [light, setLight] = useState(branding.accent_color ?? "");
  const [dark, setDark] = useState(chosenDark);
  const [contact, setContact] = useState(branding.support_contact ?? "");
  const [footer, setFooter] = useState(branding.mail_footer);
  const problem = put.error ? asProblem(put.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? [problem.detail, problem.remedy].filter(Boolean).join(": ") : null);
  const unchanged =
    light.trim() === (branding.accent_color ?? "") && dark.trim() === chosenDark && contact.trim() === (branding.support_contact ?? "") && footer.trim() === branding.mail_footer;
  // Until it is saved, only the server knows which colour it makes of the other.
  const madeDark = light.trim() === branding.accent_color ? branding.accent_color_dark : null;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    put.mutate(
      { accent_color: orNull(light), accent_color_dark: orNull(dark), support_contact: orNull(contact), mail_footer: footer.trim() },
      { onSuccess: () => notify("Look saved") },
    );
  };
  const readOnly = denied !== null;
  return (
    <form onSubmit={submit} className="flex flex-col gap-5">
      {problem && !FIELDS.includes(problem.field ?? "") ? <ProblemNote error={put.error} /> : null}
      <ColorField
        label="Accent on light pages"
        value={light}
        onChange={setLight}
        readOnly={readOnly}
        error={fieldError("accent_color")}
        hint="The colour of buttons and links, such as #2238d0. Empty: the program’s own. One that could not be read is refused."
        shown={orNull(light)}
        theme="light"
      />
      <ColorField
        label="Accent on dark pages"
        value={dark}
        onChange={setDark}
        readOnly={readOnly}
        error={fieldError("accent_color_dark")}
        hint="Empty: made from the other."
        shown={orNull(dark) ?? madeDark}
        theme="dark"
      />
      <TextField label="Contact" optional readOnly={readOnly} maxLength={254} value={contact} onChange={(event) => setContact(event.target.value)} error={fieldError("support_contact")} hint="Whom people turn to: an e-mail or an https address." />
      <TextAreaField label="Below every mail" optional readOnly={readOnly} rows={3} maxLength={1000} value={footer} onChange={(event) => setFooter(event.target.value)} error={fieldError("mail_footer")} />
      <div><Button type="submit" busy={put.isPending} reason={denied} disabled={unchanged}>Save the look</Button></div>
    </form>
  );
}
