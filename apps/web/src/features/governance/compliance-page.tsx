"use client";

import type { ComplianceCatalogue, ComplianceReport } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { complianceQuery } from "@/data/compliance/queries";
import { formatCount, plural } from "@/lib/format";
import { useParam, useSetParams } from "@/lib/use-param";
import { SelectField } from "@/ui/field";
import { Message } from "@/ui/message";
import { PageHeader, Section } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";
import { Time } from "@/ui/time";

import { ComplianceControlRow } from "./compliance-control-row";
import { chaptersWith, chosenCatalogue, OUTCOMES, readOutcome, totalOf, withCount } from "./compliance-labels";

/** Which security controls are met, and what shows it. */
export function CompliancePage() {
  const report = useQuery(complianceQuery);
  return (
    <>
      <PageHeader
        title="Compliance"
        lead="What lists of security requirements ask for, how far this program does it, and the tests and documents that show it. A requirement whose test failed counts as not shown."
      />
      <QueryView
        query={report}
        loading={<SkeletonRows rows={8} />}
        isEmpty={(data) => data.catalogues.length === 0}
        empty={<EmptyState title="No catalogue">This program was built without catalogues of controls.</EmptyState>}
      >
        {(data) => <Report report={data} />}
      </QueryView>
    </>
  );
}

function Report({ report }: { report: ComplianceReport }) {
  const setParams = useSetParams();
  const catalogue = chosenCatalogue(report.catalogues, useParam("catalogue"));
  if (catalogue === undefined) return null;
  const options = report.catalogues.map(({ name, title }) => ({ value: name, label: title }));
  return (
    <>
      <RunNote report={report} />
      {options.length > 1 && (
        <div className="mb-6 max-w-full overflow-x-auto">
          <Segmented small label="Catalogue" value={catalogue.name} options={options} onChange={(name) => setParams({ catalogue: name, chapter: null, outcome: null })} />
        </div>
      )}
      <Section title={catalogue.title} lead={catalogue.note}>
        <ChapterTable catalogue={catalogue} onChoose={(chapter) => setParams({ chapter })} />
        <p className="mt-4 text-[0.875rem] text-soft">
          The requirements themselves: <a className="link break-all" href={catalogue.source} target="_blank" rel="noreferrer">{catalogue.source}</a>
        </p>
      </Section>
      <Controls key={catalogue.name} catalogue={catalogue} />
    </>
  );
}

/** What the outcomes rest on. */
function RunNote({ report }: { report: ComplianceReport }) {
  const { run, problem } = report;
  if (run) {
    return (
      <p role="status" className="mb-6 text-soft">
        By the test run of <Time at={run.ended_at} />: {plural(run.passed, "test")} passed, {formatCount(run.failed)} failed{run.skipped > 0 && `, ${formatCount(run.skipped)} left out`}.
      </p>
    );
  }
  return (
    <div role="status" className="mb-6 max-w-[64ch] rounded-[5px] border-l-3 border-warn bg-warn-soft px-4 py-3">
      <p className="font-medium">No test run is known to this server</p>
      <p className="mt-0.5">What follows is what the catalogues say, not what tests have shown.</p>
      {problem && <p className="mt-1.5 text-soft"><Message text={problem} /></p>}
    </div>
  );
}

const CONTROLS = "controls";

function ChapterTable({ catalogue, onChoose }: { catalogue: ComplianceCatalogue; onChoose: (chapter: string) => void }) {
  return (
    <table className="ledger stack">
      <thead>
        <tr><th>Chapter</th>{OUTCOMES.map(({ value, label }) => <th key={value} className="num">{label}</th>)}</tr>
      </thead>
      <tbody>
        {catalogue.chapters.map((chapter) => (
          <tr key={chapter.id} data-chapter={chapter.id}>
            <td>
              <button
                type="button"
                className="link text-start"
                onClick={() => {
                  onChoose(chapter.id);
                  document.getElementById(CONTROLS)?.scrollIntoView();
                }}
              >
                <span className="figure">{chapter.id}</span> {chapter.title}
              </button>
            </td>
            {OUTCOMES.map(({ value, label }) => <td key={value} data-label={label} className="num">{formatCount(chapter.counts[value])}</td>)}
          </tr>
        ))}
        <tr>
          <td className="font-medium">All {formatCount(totalOf(catalogue.counts))}</td>
          {OUTCOMES.map(({ value, label }) => <td key={value} data-label={label} className="num font-medium">{formatCount(catalogue.counts[value])}</td>)}
        </tr>
      </tbody>
    </table>
  );
}

function Controls({ catalogue }: { catalogue: ComplianceCatalogue }) {
  const setParams = useSetParams();
  const named = useParam("chapter");
  const chapter = catalogue.chapters.find((one) => one.id === named) ?? null;
  const outcome = readOutcome(useParam("outcome"));
  const shown = chaptersWith(catalogue, chapter?.id ?? null, outcome);
  const counts = chapter?.counts ?? catalogue.counts;
  return (
    <div id={CONTROLS} className="mt-10 scroll-mt-6">
      <Section title="Requirements">
        <div className="mb-4 grid gap-4 sm:grid-cols-2 sm:gap-6">
          <SelectField label="Chapter" value={chapter?.id ?? ""} onChange={(event) => setParams({ chapter: event.target.value })}>
            <option value="">All chapters</option>
            {catalogue.chapters.map(({ id, title }) => <option key={id} value={id}>{id} {title}</option>)}
          </SelectField>
          <SelectField label="Outcome" value={outcome ?? ""} onChange={(event) => setParams({ outcome: event.target.value })}>
            <option value="">{withCount("All", totalOf(counts))}</option>
            {OUTCOMES.map(({ value, label }) => <option key={value} value={value}>{withCount(label, counts[value])}</option>)}
          </SelectField>
        </div>
        {shown.length === 0 && <p className="border-t border-rule pt-4 text-soft">No requirement is like that.</p>}
        {shown.map(({ id, title, controls }) => (
          <section key={id} aria-label={`${id} ${title}`} className="mt-8 first:mt-0">
            <h3 className="mb-1 font-medium"><span className="figure">{id}</span> {title}</h3>
            <ul className="border-t border-rule-strong">
              {controls.map((control) => <ComplianceControlRow key={control.id} control={control} />)}
            </ul>
          </section>
        ))}
      </Section>
    </div>
  );
}
