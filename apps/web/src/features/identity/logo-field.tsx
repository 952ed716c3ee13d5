"use client";

import { useRef } from "react";

import { useDeleteLogo, usePutLogo } from "@/data/tenants/mutations";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { useDenied } from "./session";
import { TenantLogo } from "./tenant-logo";

export function LogoField({ hash }: { hash: string | null }) {
  const put = usePutLogo();
  const remove = useDeleteLogo();
  const denied = useDenied("tenants:write");
  const notify = useToast();
  const input = useRef<HTMLInputElement>(null);
  const error = put.error ?? remove.error;
  return (
    <div>
      <p className="text-[0.875rem] font-medium">Logo</p>
      <div className="mt-1.5 flex flex-wrap items-center gap-3">
        {/* It must be good on both. */}
        {hash !== null && ["scheme-light", "scheme-dark"].map((scheme) => (
          <span key={scheme} className={`${scheme} grid h-14 min-w-24 place-items-center rounded-[5px] border border-rule bg-sunken px-3`}><TenantLogo hash={hash} /></span>
        ))}
        <Button small busy={put.isPending} reason={denied} onClick={() => input.current?.click()}>{hash === null ? "Choose a picture" : "Choose another picture"}</Button>
        {hash !== null && <Button small variant="quiet" busy={remove.isPending} reason={denied} onClick={() => remove.mutate(undefined, { onSuccess: () => notify("Logo removed") })}>Remove</Button>}
      </div>
      <p className="mt-1.5 text-[0.8125rem] leading-snug text-faint">PNG, JPEG or WebP of at most 256 KiB and 2,048 pixels along each side. It stands in the place of the program’s own mark.</p>
      <input
        ref={input}
        type="file"
        accept="image/png,image/jpeg,image/webp"
        aria-label="The workspace’s logo"
        className="sr-only"
        tabIndex={-1}
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          remove.reset();
          if (file) put.mutate(file, { onSuccess: () => notify("Logo saved") });
        }}
      />
      {error ? <ProblemNote error={error} className="mt-3" /> : null}
    </div>
  );
}
