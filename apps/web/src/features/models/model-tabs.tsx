import { LinkTabs } from "@/ui/tabs";

const ITEMS = [
  { href: "/models/", label: "Models" },
  { href: "/models/providers/", label: "Providers" },
  { href: "/models/routes/", label: "Routes" },
  { href: "/models/prompts/", label: "Prompts" },
  { href: "/models/budgets/", label: "Budgets" },
  { href: "/models/quality/", label: "Quality" },
  { href: "/models/batches/", label: "Batches" },
  { href: "/models/benchmarks/", label: "Benchmarks" },
  { href: "/models/usage/", label: "Usage" },
  { href: "/models/calls/", label: "Calls" },
];

export function ModelTabs({ current }: { current: string }) {
  return <LinkTabs label="Models" current={current} items={ITEMS} />;
}
