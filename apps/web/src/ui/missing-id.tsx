import Link from "next/link";

import { EmptyState } from "./query-view";

/** For pages whose address must name something and does not. */
export function MissingId({ what, href, back }: { what: string; href: string; back: string }) {
  return (
    <EmptyState title={`The address names no ${what}`} action={<Link href={href} className="link">{back}</Link>}>
      It may have been cut off when it was copied.
    </EmptyState>
  );
}
