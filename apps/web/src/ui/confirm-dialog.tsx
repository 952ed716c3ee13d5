"use client";

import type { ReactNode } from "react";

import { Button } from "./button";
import { Dialog, DialogActions } from "./dialog";
import { ProblemNote } from "./problem-note";

interface ConfirmDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  /** What will happen, and whether it can be undone. */
  children: ReactNode;
  action: string;
  busy?: boolean;
  error?: unknown;
  danger?: boolean;
  onConfirm: () => void;
}

export function ConfirmDialog({ open, onOpenChange, title, children, action, busy, error, danger = true, onConfirm }: ConfirmDialogProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={title}>
      <div className="text-soft">{children}</div>
      {error ? <ProblemNote error={error} className="mt-4" /> : null}
      <DialogActions>
        <Button variant={danger ? "danger" : "primary"} busy={busy} onClick={onConfirm}>{action}</Button>
        <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
      </DialogActions>
    </Dialog>
  );
}
