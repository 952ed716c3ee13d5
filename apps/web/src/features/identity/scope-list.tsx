import type { ScopeInWords } from "@plasma/client/types";

/** What an application may do, each in words. What the person may not do themselves gives the application nothing. */
export function ScopeList({ scopes }: { scopes: readonly ScopeInWords[] }) {
  const held = scopes.filter((scope) => scope.held);
  const others = scopes.filter((scope) => !scope.held);
  return (
    <>
      <ul className="flex list-disc flex-col gap-1.5 pl-5 marker:text-accent">
        {held.map((scope) => <li key={scope.scope} title={scope.scope}>{scope.words}</li>)}
      </ul>
      {others.length > 0 && (
        <details className="mt-3 text-[0.875rem] text-soft">
          <summary className="cursor-pointer">Also asked for, but closed to you and so to it ({others.length})</summary>
          <ul className="mt-2 flex list-disc flex-col gap-1 pl-5">
            {others.map((scope) => <li key={scope.scope} title={scope.scope}>{scope.words}</li>)}
          </ul>
        </details>
      )}
    </>
  );
}
