import type { CacheMode, RouteCache } from "@plasma/client/types";

import { CheckField, SelectField, TextField } from "@/ui/field";

import { CacheDurationField } from "./cache-duration-field";
import { CACHE_MODES } from "./cache-labels";

export const NO_CACHE: RouteCache = { mode: "off", ttl_seconds: 3_600, any_temperature: false, similarity_min: null };

/** Which answers a route gives again. */
export function RouteCacheFields({ cache, onChange, fieldError }: { cache: RouteCache; onChange: (cache: RouteCache) => void; fieldError: (field: string) => string | null }) {
  const mode = cache.mode ?? "off";
  return (
    <>
      <SelectField label="Give answers again" value={mode} onChange={(event) => onChange({ ...cache, mode: event.target.value as CacheMode })} hint={CACHE_MODES[mode].about} error={fieldError("cache.mode")}>
        {Object.entries(CACHE_MODES).map(([value, { label }]) => <option key={value} value={value}>{label}</option>)}
      </SelectField>
      {mode !== "off" && (
        <>
          <CacheDurationField seconds={cache.ttl_seconds ?? 3_600} onChange={(ttl_seconds) => onChange({ ...cache, ttl_seconds })} error={fieldError("cache.ttl_seconds")} />
          {mode === "semantic" && (
            <TextField
              label="Least similarity"
              optional
              type="number"
              min={0.01}
              max={1}
              step={0.01}
              value={cache.similarity_min ?? ""}
              onChange={(event) => onChange({ ...cache, similarity_min: event.target.value === "" ? null : Number(event.target.value) })}
              error={fieldError("cache.similarity_min")}
              hint="1 is the same text. `plasma models cache-calibrate` finds it from pairs of your own questions."
            />
          )}
          <CheckField label="Also where the request wants chance" hint="A temperature above 0 without a seed, or several answers." checked={cache.any_temperature ?? false} onChange={(event) => onChange({ ...cache, any_temperature: event.target.checked })} />
        </>
      )}
    </>
  );
}
