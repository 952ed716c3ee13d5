import type { Metadata } from "next";

import { WorkspacePage } from "@/features/identity/workspace-page";

export const metadata: Metadata = { title: "Workspace" };

export default function Workspace() {
  return <WorkspacePage />;
}
