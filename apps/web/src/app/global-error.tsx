"use client";

import "./globals.css";

/** Instead of the page that Next would show: that one brings a style of its own, which the server's policy forbids. */
export default function GlobalError({ reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <html lang="en">
      <body>
        <main role="alert" className="mx-auto grid min-h-dvh max-w-xl content-center gap-4 p-6">
          <h1 className="text-[2.5rem]">This page has failed</h1>
          <p className="text-soft">Nothing of yours is lost. Try again; if it lasts, tell whoever runs this installation what you did.</p>
          <p><button type="button" onClick={reset} className="link">Try again</button></p>
        </main>
      </body>
    </html>
  );
}
