import type { PolicyMatch } from "@plasma/client/types";

/** The statements that decided, word by word for those who may see them. */
export function PolicyMatches({ policies, className }: { policies: readonly PolicyMatch[]; className?: string }) {
  if (policies.length === 0) return null;
  return (
    <ul className={className}>
      {policies.map((match) => (
        <li key={`${match.policy} ${match.statement}`} className="mt-2 first:mt-0">
          <p className="text-[0.875rem] text-soft">{match.effect === "forbid" ? "Forbidden" : "Permitted"} by “{match.name}”, statement {match.statement}</p>
          {match.text !== "" && <pre className="figure mt-1 overflow-x-auto rounded-[5px] bg-sunken px-3 py-2 text-[0.8125rem] whitespace-pre-wrap">{match.text}</pre>}
        </li>
      ))}
    </ul>
  );
}
