"use client";

import { createContext, use, useCallback, useMemo, useRef, useState, type ReactNode } from "react";

import { cx } from "./cx";

interface Notice {
  id: number;
  text: string;
  tone: "plain" | "bad";
}

const NOTICE_MS = 6000;

const ToastContext = createContext<(text: string, tone?: Notice["tone"]) => void>(() => undefined);

/** Says in passing that something was done. Failures that need an answer belong beside what failed, not here. */
export function useToast() {
  return use(ToastContext);
}

export function ToastProvider({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<Notice[]>([]);
  const nextId = useRef(0);
  const notify = useCallback((text: string, tone: Notice["tone"] = "plain") => {
    const id = (nextId.current += 1);
    setNotices((current) => [...current.slice(-2), { id, text, tone }]);
    setTimeout(() => setNotices((current) => current.filter((notice) => notice.id !== id)), NOTICE_MS);
  }, []);
  return (
    <ToastContext value={useMemo(() => notify, [notify])}>
      {children}
      <div aria-live="polite" role="status" className="pointer-events-none fixed inset-x-0 bottom-20 z-60 flex flex-col items-center gap-2 px-4 md:bottom-6">
        {notices.map((notice) => (
          <p key={notice.id} className={cx("max-w-md rounded-[6px] px-4 py-2.5 font-medium shadow-float", notice.tone === "bad" ? "bg-bad-soft text-bad" : "bg-ink text-paper")}>
            {notice.text}
          </p>
        ))}
      </div>
    </ToastContext>
  );
}
