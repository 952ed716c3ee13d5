import type { RouteStrategy } from "@plasma/client/types";

export const STRATEGIES: Record<RouteStrategy, { label: string; about: string }> = {
  ordered: { label: "In order", about: "The first of the list that answers." },
  weighted: { label: "By weight", about: "Drawn by weight, for each request anew." },
  lowest_cost: { label: "Lowest cost", about: "The cheapest for the request’s length." },
  complexity: { label: "By complexity", about: "The cheapest for simple questions, the dearest for complex ones." },
  lowest_latency: { label: "Lowest latency", about: "The quickest to its first token lately." },
  bandit: { label: "Quality for its cost", about: "Learns from scores which answers best for its cost, and tries the others from time to time." },
  highest_quality: { label: "Highest quality", about: "The best by its scores; the dearest while none is measured." },
};
