"use client";

import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactNode } from "react";

import { cx } from "./cx";

const closeClass =
  "inline-flex size-9 shrink-0 items-center justify-center rounded-[5px] text-soft hover:bg-sunken hover:text-ink";

interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}

/** A modal dialog: focus is trapped, Escape and the backdrop close it, focus returns to where it came from. */
export function Dialog({ open, onOpenChange, title, description, wide, children }: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-[rgb(0_0_0/45%)] transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Base.Viewport className="fixed inset-0 z-50 grid place-items-end overflow-y-auto sm:place-items-center sm:p-6">
          <Base.Popup
            className={cx(
              "w-full rounded-t-[10px] border border-rule bg-paper p-5 shadow-float outline-none sm:rounded-[10px] sm:p-7",
              "transition-[opacity,transform] duration-150 data-ending-style:translate-y-2 data-ending-style:opacity-0 data-starting-style:translate-y-2 data-starting-style:opacity-0",
              wide ? "sm:max-w-3xl" : "sm:max-w-lg",
            )}
          >
            <div className="mb-5 flex items-start justify-between gap-4">
              <div className="min-w-0">
                <Base.Title className="font-serif text-2xl leading-tight font-medium tracking-tight">{title}</Base.Title>
                {description && <Base.Description render={<div />} className="mt-1.5 text-soft">{description}</Base.Description>}
              </div>
              <Base.Close aria-label="Close" className={cx(closeClass, "-mt-1 -mr-1.5")}>
                <X aria-hidden className="size-[1.125rem]" />
              </Base.Close>
            </div>
            {children}
          </Base.Popup>
        </Base.Viewport>
      </Base.Portal>
    </Base.Root>
  );
}

/** The row of buttons at the foot of a dialog or form. */
export function DialogActions({ children }: { children: ReactNode }) {
  return <div className="mt-6 flex flex-row-reverse flex-wrap gap-2.5">{children}</div>;
}

/** A panel at the side that leaves the page usable, so that an answer can be read beside its source. */
export function SidePanel({ open, onOpenChange, title, eyebrow, children }: { open: boolean; onOpenChange: (open: boolean) => void; title: string; eyebrow?: string; children: ReactNode }) {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange} modal={false} disablePointerDismissal>
      <Base.Portal>
        <Base.Popup data-side-panel className="fixed inset-x-0 bottom-0 z-40 flex max-h-[75dvh] flex-col rounded-t-[10px] border border-rule bg-raised shadow-float transition-transform duration-200 outline-none data-ending-style:translate-y-full data-starting-style:translate-y-full sm:inset-y-0 sm:right-0 sm:left-auto sm:max-h-none sm:w-[27rem] sm:rounded-none sm:border-y-0 sm:border-r-0 sm:data-ending-style:translate-x-full sm:data-ending-style:translate-y-0 sm:data-starting-style:translate-x-full sm:data-starting-style:translate-y-0">
          <div className="flex items-start justify-between gap-4 border-b border-rule p-5">
            <div className="min-w-0">
              {eyebrow && <p className="eyebrow">{eyebrow}</p>}
              <Base.Title className="font-serif text-xl leading-snug font-medium">{title}</Base.Title>
            </div>
            <Base.Close aria-label="Close" className={cx(closeClass, "-mt-1 -mr-1.5")}>
              <X aria-hidden className="size-[1.125rem]" />
            </Base.Close>
          </div>
          <div className="min-h-0 flex-1 overflow-y-auto p-5">{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
