"use client";

import { asProblem } from "@plasma/client/problem";
import type { CallFeedback, CallQuality, ModelCall } from "@plasma/client/types";
import { ThumbsDown, ThumbsUp } from "lucide-react";
import { useState } from "react";

import { useGiveFeedback } from "@/data/quality/mutations";
import { ActorName } from "@/features/identity/actor-name";
import { useDenied, useMe } from "@/features/identity/session";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { TextAreaField } from "@/ui/field";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { Time } from "@/ui/time";

import { formatScore, scoreTone } from "./scores";

/** How good the answer is, by rules, by the judge and by people; and what the reader thinks of it. */
export function QualitySection({ call }: { call: ModelCall }) {
  const { quality } = call;
  if (!quality || call.purpose === "judge" || call.status !== "succeeded") return null;
  return (
    <section className="mt-10" aria-labelledby="quality">
      <h2 id="quality" className="font-serif text-[1.25rem] font-medium tracking-tight">Quality</h2>
      <ul className="mt-3 border-t border-rule-strong">
        {quality.marks.map((mark) => (
          <Row key={mark.name} name={`Rule: ${mark.name}`} score={mark.value}>{mark.reason}</Row>
        ))}
        {quality.judge && <Judged judge={quality.judge} />}
        {quality.feedback.map((feedback) => <Rated key={JSON.stringify(feedback.actor)} feedback={feedback} />)}
        {quality.marks.length === 0 && !quality.judge && quality.feedback.length === 0 && (
          <li className="border-b border-rule py-3 text-soft">No rule has looked at this answer, and nobody has rated it.</li>
        )}
      </ul>
      <RateForm call={call} quality={quality} />
    </section>
  );
}

function Row({ name, score, children }: { name: React.ReactNode; score: number | null; children: React.ReactNode }) {
  return (
    <li className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-1 border-b border-rule py-3">
      <span className="flex items-baseline gap-3">
        <Badge tone={score === null ? "plain" : scoreTone(score)}>{score === null ? "no score" : formatScore(score)}</Badge>
        <span>{name}</span>
      </span>
      <span className="min-w-0 text-[0.875rem] break-words text-soft">{children}</span>
    </li>
  );
}

function Judged({ judge }: { judge: NonNullable<CallQuality["judge"]> }) {
  const name = judge.model ? <>Judge <span className="figure break-all">{judge.model}</span></> : "Judge";
  return <Row name={name} score={judge.score}><Message text={judge.reason ?? judge.error ?? ""} /></Row>;
}

function Rated({ feedback }: { feedback: CallFeedback }) {
  const words = [feedback.comment, feedback.labels.join(", ")].filter((text) => text).join(" — ");
  return <Row name={<ActorName actor={feedback.actor} />} score={feedback.score}>{words && <>{words} </>}<Time at={feedback.updated_at} /></Row>;
}

function RateForm({ call, quality }: { call: ModelCall; quality: CallQuality }) {
  const me = useMe();
  const denied = useDenied("models:invoke");
  const give = useGiveFeedback(call.id);
  const own = quality.feedback.find(({ actor }) => actor.kind === "user" && actor.id === me.user?.id);
  const [comment, setComment] = useState(own?.comment ?? "");
  const problem = give.error ? asProblem(give.error) : null;
  const rate = (thumbs: "up" | "down") => give.mutate({ thumbs, comment: comment.trim() === "" ? null : comment.trim(), labels: own?.labels ?? [] });
  return (
    <div className="mt-4 flex max-w-xl flex-col gap-3">
      {problem && problem.field !== "comment" ? <ProblemNote error={give.error} /> : null}
      <TextAreaField label="What do you think of the answer?" optional rows={2} maxLength={2000} value={comment} onChange={(event) => setComment(event.target.value)} error={problem?.field === "comment" ? problem.detail : null} hint={own ? "You have rated it; a new rating takes the place of yours." : "Routes learn from ratings which models answer well."} />
      <div className="flex flex-wrap gap-2">
        <Button small icon={<ThumbsUp aria-hidden className="size-4" />} aria-pressed={own?.score === 1} reason={denied} busy={give.isPending && give.variables.thumbs === "up"} onClick={() => rate("up")}>Good</Button>
        <Button small icon={<ThumbsDown aria-hidden className="size-4" />} aria-pressed={own?.score === 0} reason={denied} busy={give.isPending && give.variables.thumbs === "down"} onClick={() => rate("down")}>Bad</Button>
      </div>
    </div>
  );
}
