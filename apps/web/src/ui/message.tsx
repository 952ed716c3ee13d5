import { sentence } from "@/lib/sentence";

/** A message of the server as a sentence; what stands between backticks is shown as code, to be copied. */
export function Message({ text }: { text: string }) {
  return sentence(text)
    .split(/(`[^`]+`)/)
    .map((part, index) =>
      part.startsWith("`") && part.endsWith("`") && part.length > 2 ? (
        <code key={index} className="figure rounded-[3px] bg-paper/60 px-1 py-px text-[0.875em] break-words">{part.slice(1, -1)}</code>
      ) : (
        part
      ),
    );
}
