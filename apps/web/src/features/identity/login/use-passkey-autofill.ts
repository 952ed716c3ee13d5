"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef } from "react";

import { loginWithPasskey, type LoginAnswer } from "@/data/login/mutations";
import { canFillInPasskeys } from "@/lib/webauthn";

/** A challenge ends after five minutes; a page that stays open asks for another one before. */
const RENEW_MS = 4 * 60_000;

/**
 * Lets the browser offer passkeys in the field for the e-mail, for as long as the page is open. Whoever does not choose one
 * notices nothing; so do those whose browser cannot do it.
 */
export function usePasskeyAutofill(onAnswer: (answer: LoginAnswer) => void): { start: () => void; stop: () => void } {
  const queryClient = useQueryClient();
  const running = useRef<AbortController | null>(null);
  const latest = useRef(onAnswer);
  useEffect(() => {
    latest.current = onAnswer;
  });

  const stop = useCallback(() => {
    running.current?.abort();
    running.current = null;
  }, []);

  const start = useCallback(() => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    void offer(controller.signal).then((answer) => {
      if (!answer || controller.signal.aborted) return;
      queryClient.clear();
      latest.current(answer);
    });
  }, [queryClient]);

  useEffect(() => {
    start();
    const renewal = setInterval(start, RENEW_MS);
    return () => {
      clearInterval(renewal);
      stop();
    };
  }, [start, stop]);

  return { start, stop };
}

async function offer(signal: AbortSignal): Promise<LoginAnswer | null> {
  try {
    if (!(await canFillInPasskeys()) || signal.aborted) return null;
    return await loginWithPasskey({ conditional: true, signal });
  } catch {
    // Nothing was asked for, so nothing is said: the button beside it tells what is wrong.
    return null;
  }
}
