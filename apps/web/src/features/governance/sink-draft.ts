import type { AuditSink, AuditSinkTarget } from "@plasma/client/types";

export type SinkKind = AuditSinkTarget["kind"];

export interface SinkAbout {
  label: string;
  /** What it sends. */
  sends: "checkpoints" | "records";
  explanation: string;
  /** What the secret is; null where there is none. */
  secret: string | null;
  secretRequired: boolean;
}

export const SINK_KINDS: Record<SinkKind, SinkAbout> = {
  anchor_file: { label: "File", sends: "checkpoints", explanation: "Adds each checkpoint to a file in the folder that the operator chose.", secret: null, secretRequired: false },
  anchor_s3: { label: "S3 with object lock", sends: "checkpoints", explanation: "Writes each checkpoint as an object that nobody can change before a time.", secret: "Secret access key", secretRequired: true },
  anchor_webhook: { label: "Webhook", sends: "checkpoints", explanation: "Posts each checkpoint with a signature by the secret.", secret: "Signing secret", secretRequired: true },
  syslog: { label: "Syslog", sends: "records", explanation: "Sends each record as a message of RFC 5424.", secret: null, secretRequired: false },
  otlp: { label: "OpenTelemetry", sends: "records", explanation: "Sends records as logs, OTLP over HTTP.", secret: "Authorization header", secretRequired: false },
  s3: { label: "S3", sends: "records", explanation: "Writes records as objects of JSON lines.", secret: "Secret access key", secretRequired: true },
};

/** What a person has entered; which of it counts depends on the kind. */
export interface SinkDraft {
  name: string;
  kind: SinkKind;
  url: string;
  region: string;
  bucket: string;
  prefix: string;
  accessKeyId: string;
  lock: "governance" | "compliance";
  retainDays: string;
  host: string;
  port: string;
  transport: "udp" | "tcp" | "tls";
  caPem: string;
  secret: string;
  /** Records from the first on instead of from now on. */
  fromStart: boolean;
}

export const NEW_SINK: SinkDraft = {
  name: "",
  kind: "anchor_webhook",
  url: "",
  region: "us-east-1",
  bucket: "",
  prefix: "plasma",
  accessKeyId: "",
  lock: "compliance",
  retainDays: "400",
  host: "",
  port: "6514",
  transport: "tls",
  caPem: "",
  secret: "",
  fromStart: true,
};

export function draftOf(sink: AuditSink): SinkDraft {
  const { target } = sink;
  const draft: SinkDraft = { ...NEW_SINK, name: sink.name, kind: target.kind };
  switch (target.kind) {
    case "anchor_webhook":
      return { ...draft, url: target.url };
    case "otlp":
      return { ...draft, url: target.endpoint };
    case "syslog":
      return { ...draft, host: target.host, port: String(target.port), transport: target.transport, caPem: target.ca_pem ?? "" };
    case "s3":
    case "anchor_s3": {
      const { bucket } = target;
      const place = { url: bucket.endpoint, region: bucket.region, bucket: bucket.name, prefix: bucket.prefix ?? "", accessKeyId: bucket.access_key_id };
      return target.kind === "s3" ? { ...draft, ...place } : { ...draft, ...place, lock: target.lock, retainDays: String(target.retain_days) };
    }
    default:
      return draft;
  }
}

/** The target as the server takes it. */
export function targetOf(draft: SinkDraft): AuditSinkTarget {
  const bucket = {
    endpoint: draft.url.trim(),
    region: draft.region.trim(),
    name: draft.bucket.trim(),
    prefix: draft.prefix.trim(),
    access_key_id: draft.accessKeyId.trim(),
  };
  switch (draft.kind) {
    case "anchor_file":
      return { kind: "anchor_file" };
    case "anchor_webhook":
      return { kind: "anchor_webhook", url: draft.url.trim() };
    case "anchor_s3":
      return { kind: "anchor_s3", bucket, lock: draft.lock, retain_days: Number(draft.retainDays) };
    case "otlp":
      return { kind: "otlp", endpoint: draft.url.trim() };
    case "s3":
      return { kind: "s3", bucket };
    case "syslog": {
      const ca = draft.caPem.trim();
      return { kind: "syslog", host: draft.host.trim(), port: Number(draft.port), transport: draft.transport, ...(draft.transport === "tls" && ca !== "" && { ca_pem: `${ca}\n` }) };
    }
  }
}

/** Where a sink sends to, in a few words. */
export function placeOf(target: AuditSinkTarget): string {
  switch (target.kind) {
    case "anchor_file":
      return "a file on the server";
    case "anchor_webhook":
      return target.url;
    case "otlp":
      return target.endpoint;
    case "syslog":
      return `${target.transport}://${target.host}:${target.port}`;
    case "s3":
    case "anchor_s3":
      return `${target.bucket.endpoint.replace(/\/$/, "")}/${target.bucket.name}/${target.bucket.prefix ?? ""}`;
  }
}
