import type { AuditSink, AuditSinkTarget } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { draftOf, NEW_SINK, placeOf, SINK_KINDS, targetOf, type SinkKind } from "./sink-draft";

const BUCKET = { endpoint: "https://s3.example.com/", region: "eu", name: "audit", prefix: "a", access_key_id: "AKIA" };

const TARGETS: Record<SinkKind, AuditSinkTarget> = {
  anchor_file: { kind: "anchor_file" },
  anchor_s3: { kind: "anchor_s3", bucket: BUCKET, lock: "governance", retain_days: 30 },
  anchor_webhook: { kind: "anchor_webhook", url: "https://hooks.example.com/" },
  syslog: { kind: "syslog", host: "logs.example.com", port: 514, transport: "tcp" },
  otlp: { kind: "otlp", endpoint: "https://otlp.example.com" },
  s3: { kind: "s3", bucket: BUCKET },
};

describe("a sink", () => {
  it("survives being edited without a change", () => {
    for (const target of Object.values(TARGETS)) {
      const sink = { name: "x", target } as AuditSink;
      expect(targetOf(draftOf(sink))).toEqual(target);
      expect(placeOf(target)).not.toBe("");
      expect(SINK_KINDS[target.kind].label).not.toBe("");
    }
  });

  it("has a certificate authority only with TLS", () => {
    const draft = { ...NEW_SINK, kind: "syslog" as const, host: " h ", caPem: " pem \n" };
    expect(targetOf(draft)).toEqual({ kind: "syslog", host: "h", port: 6514, transport: "tls", ca_pem: "pem\n" });
    expect(targetOf({ ...draft, transport: "tcp" })).toEqual({ kind: "syslog", host: "h", port: 6514, transport: "tcp" });
  });
});
