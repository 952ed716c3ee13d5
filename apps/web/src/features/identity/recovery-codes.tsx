"use client";

import { CopyButton } from "@/ui/copy-button";

/** New recovery codes, in the one moment in which they are shown. */
export function RecoveryCodes({ codes }: { codes: readonly string[] }) {
  return (
    <div>
      <ol data-recovery-codes aria-label="Recovery codes" className="figure grid grid-cols-1 gap-x-6 gap-y-1 rounded-[5px] bg-marker px-4 py-3 text-on-marker select-all xs:grid-cols-2">
        {codes.map((code) => <li key={code}>{code}</li>)}
      </ol>
      <div className="mt-3"><CopyButton text={codes.join("\n")} label="Copy codes" /></div>
    </div>
  );
}
