"use client";

import { CSPProvider } from "@base-ui/react/csp-provider";
import { ProblemError } from "@plasma/client/problem";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { loginPath } from "@/features/identity/next-path";
import { ToastProvider } from "@/ui/toast";

const RETRIES_MAX = 2;

function leaveWhenSignedOut(error: unknown) {
  if (!(error instanceof ProblemError) || error.status !== 401 || location.pathname.startsWith("/login")) return;
  location.replace(loginPath());
}

function createQueryClient(): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({ onError: leaveWhenSignedOut }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _context, mutation) => {
        // Some mutations ask for a password again; there, 401 is an answer and not the end of the session.
        if (!mutation.meta?.["answers401"]) leaveWhenSignedOut(error);
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        // A refusal stays a refusal; only an unreachable or failing server is worth another try.
        retry: (failures, error) => {
          const status = error instanceof ProblemError ? error.status : 0;
          return failures < RETRIES_MAX && (status === 0 || status >= 500);
        },
      },
    },
  });
}

export function Providers({ children }: { children: ReactNode }) {
  const [queryClient] = useState(createQueryClient);
  return (
    // The server's policy runs no style that stands in the page itself.
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queryClient}>
        <ToastProvider>{children}</ToastProvider>
      </QueryClientProvider>
    </CSPProvider>
  );
}
