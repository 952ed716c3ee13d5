import Link from "next/link";

import { Wordmark } from "@/shell/wordmark";

export default function NotFound() {
  return (
    <main className="mx-auto grid min-h-dvh max-w-xl content-center gap-4 p-6">
      <Wordmark />
      <h1 className="mt-6 text-[2.5rem]">There is no page here</h1>
      <p className="text-soft">The address may be mistyped, or what it named was deleted.</p>
      <p><Link href="/" className="link">Go to the home page</Link></p>
    </main>
  );
}
