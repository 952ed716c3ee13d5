import type { Permission } from "@plasma/client/types";
import { BookOpen, Cpu, House, MessageCircleQuestion, PenLine, Settings, type LucideIcon } from "lucide-react";

export interface Destination {
  href: string;
  label: string;
  icon: LucideIcon;
  permission: Permission | null;
}

export const DESTINATIONS: Destination[] = [
  { href: "/", label: "Home", icon: House, permission: null },
  { href: "/knowledge/", label: "Knowledge", icon: BookOpen, permission: "collections:read" },
  { href: "/ask/", label: "Ask", icon: MessageCircleQuestion, permission: "search:query" },
  { href: "/content/", label: "Content", icon: PenLine, permission: "content:read" },
  { href: "/models/", label: "Models", icon: Cpu, permission: "models:read" },
  { href: "/settings/", label: "Settings", icon: Settings, permission: null },
];

export function isCurrent(pathname: string, href: string): boolean {
  return href === "/" ? pathname === "/" : pathname.startsWith(href.replace(/\/$/, ""));
}
