import type { FusionMethod, RankingSettings, SearchRequest } from "@plasma/client/types";

/** How results are ranked, as the panel shows it: every setting has a value. */
export interface RankingDraft {
  method: FusionMethod;
  /** How much the meaning and the words count; null: by the length of the query. */
  weights: { vector: number; text: number } | null;
  /** Near-identical passages are folded. */
  fold: boolean;
  diversity: number;
  /** Results of one document at most; 0: no limit. */
  perDocument: number;
  /** Empty: newness does not count. */
  recencyField: string;
  halfLifeDays: number;
  recencyWeight: number;
  /** Empty: popularity does not count. */
  popularityField: string;
  popularityWeight: number;
  /** Empty: none. */
  reranker: string;
  rerankTop: number;
}

/** What holds where nobody says otherwise. */
export const BUILT_IN: RankingDraft = {
  method: "weighted",
  weights: null,
  fold: true,
  diversity: 0,
  perDocument: 0,
  recencyField: "",
  halfLifeDays: 30,
  recencyWeight: 0.2,
  popularityField: "",
  popularityWeight: 0.2,
  reranker: "",
  rerankTop: 30,
};

/** What holds for a short query where nobody sets weights. */
export const SHORT_QUERY_WEIGHTS = { vector: 0.8, text: 0.2 };

/** No answer has more results. */
const RESULTS_MAX = 100;

type Ranking = Pick<SearchRequest, "fusion" | "rerank" | "deduplicate" | "diversity" | "per_document" | "recency" | "popularity">;

/** A collection's own settings as a draft. */
export function draftOf(settings: RankingSettings): RankingDraft {
  const { fusion, rerank, recency, popularity } = settings;
  const recencyWeight = recency?.weight ?? BUILT_IN.recencyWeight;
  const popularityWeight = popularity?.weight ?? BUILT_IN.popularityWeight;
  const top = rerank?.top ?? BUILT_IN.rerankTop;
  return {
    method: fusion?.method ?? BUILT_IN.method,
    weights: weightsOf(fusion),
    fold: settings.deduplicate ?? BUILT_IN.fold,
    diversity: settings.diversity ?? BUILT_IN.diversity,
    perDocument: settings.per_document ?? BUILT_IN.perDocument,
    recencyField: recency && recencyWeight > 0 ? (recency.field ?? "$updated_at") : "",
    halfLifeDays: recency?.half_life_days ?? BUILT_IN.halfLifeDays,
    recencyWeight: recencyWeight || BUILT_IN.recencyWeight,
    popularityField: popularity && popularityWeight > 0 ? (popularity.field ?? "") : "",
    popularityWeight: popularityWeight || BUILT_IN.popularityWeight,
    reranker: top > 0 ? (rerank?.model ?? "") : "",
    rerankTop: top || BUILT_IN.rerankTop,
  };
}

function weightsOf(fusion: RankingSettings["fusion"]): RankingDraft["weights"] {
  const { vector_weight: vector, text_weight: text } = fusion ?? {};
  if (vector == null && text == null) return null;
  return { vector: vector ?? 1, text: text ?? 1 };
}

function sameDraft(left: RankingDraft, right: RankingDraft): boolean {
  const sameWeights = left.weights?.vector === right.weights?.vector && left.weights?.text === right.weights?.text;
  return sameWeights && (Object.keys(BUILT_IN) as (keyof RankingDraft)[]).every((key) => key === "weights" || left[key] === right[key]);
}

/** Whether the draft says anything else than the collection does. */
export function differs(draft: RankingDraft, settings: RankingSettings): boolean {
  return !sameDraft(draft, draftOf(settings));
}

/** What a collection is told to keep: only what is not built in. */
export function settingsOf(draft: RankingDraft): RankingSettings {
  const { method, weights } = draft;
  const fusion = {
    ...(method !== BUILT_IN.method && { method }),
    ...(weights && { vector_weight: weights.vector, text_weight: weights.text }),
  };
  return {
    ...(Object.keys(fusion).length > 0 && { fusion }),
    ...(!draft.fold && { deduplicate: false }),
    ...(draft.diversity > 0 && { diversity: draft.diversity }),
    ...(draft.perDocument > 0 && { per_document: draft.perDocument }),
    ...(draft.recencyField && { recency: { field: draft.recencyField, half_life_days: draft.halfLifeDays, weight: draft.recencyWeight } }),
    ...(draft.popularityField && { popularity: { field: draft.popularityField, weight: draft.popularityWeight } }),
    ...(draft.reranker && { rerank: { model: draft.reranker, top: draft.rerankTop } }),
  };
}

/** What a request says: nothing where the draft is the collection's own, else everything, so that it overrides all defaults. */
export function requestOf(draft: RankingDraft, settings: RankingSettings): Ranking {
  if (!differs(draft, settings)) return {};
  // A request cannot take the collection's weights away, only set others.
  const weights = draft.weights ?? (weightsOf(settings.fusion) && (draft.method === "weighted" ? SHORT_QUERY_WEIGHTS : { vector: 1, text: 1 }));
  return {
    fusion: { method: draft.method, ...(weights && { vector_weight: weights.vector, text_weight: weights.text }) },
    deduplicate: draft.fold,
    diversity: draft.diversity,
    per_document: draft.perDocument || RESULTS_MAX,
    // A signal without weight is off, and a reranker that reads nothing is not asked.
    recency: draft.recencyField ? { field: draft.recencyField, half_life_days: draft.halfLifeDays, weight: draft.recencyWeight } : { weight: 0 },
    popularity: draft.popularityField ? { field: draft.popularityField, weight: draft.popularityWeight } : { weight: 0 },
    rerank: draft.reranker ? { model: draft.reranker, top: draft.rerankTop } : { top: 0 },
  };
}
