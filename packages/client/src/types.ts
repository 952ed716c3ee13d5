/**
 * The names under which the API's types are used. Their content comes from the specification (`schema.gen.ts`); code imports
 * only from this file, so that a schema can change its name without touching the callers. Written by hand is only what the
 * specification cannot say.
 *
 * Conventions: `…_at` is microseconds since 1970 UTC, `…_ms` milliseconds, money integer millionths of the currency.
 */
import type { components } from "./schema.gen";

export type { paths } from "./schema.gen";

/** Microseconds since 1970 UTC. */
export type Micros = number;
/** Every list. The specification has a schema for each kind of row, as it knows no generic ones. */
export interface Page<T> { data: T[]; has_more: boolean; next_cursor: string | null }
export type Money = components["schemas"]["Money"];
/** RFC 9457 problem details as the server sends them for every failure. */
export type Problem = components["schemas"]["ProblemBody"];

/* Identity */
export type Role = components["schemas"]["Role"];
export type Permission = components["schemas"]["Permission"];
export type User = components["schemas"]["User"];
export type Tenant = components["schemas"]["Tenant"];
export type Team = components["schemas"]["Team"];
export type TeamMember = components["schemas"]["TeamMember"];
export type ApiKey = components["schemas"]["ApiKey"];
export type NewApiKey = components["schemas"]["CreateApiKey"];
export type CreatedApiKey = components["schemas"]["CreatedApiKey"];
export type Me = components["schemas"]["Me"];
/** A role with what it allows and who has it; `id` is a built-in role's word or the id of one of the workspace's own. */
export type RoleDetails = components["schemas"]["RoleDetails"];
/** A role of the workspace's own, as a person or a key has it. */
export type CustomRole = components["schemas"]["CustomRole"];
export type NewRole = components["schemas"]["CreateRole"];
/** A text of access rules, in Cedar's language. */
export type AccessPolicy = components["schemas"]["AccessPolicy"];
export type AccessPolicyVersion = components["schemas"]["AccessPolicyVersion"];
export type NewAccessPolicy = components["schemas"]["CreateAccessPolicy"];
export type AccessPolicyChange = components["schemas"]["UpdateAccessPolicy"];
export type AccessPolicyTest = components["schemas"]["AccessPolicyTest"];
/** A recent request whose answer a policy would change. */
export type TestedRequest = components["schemas"]["TestedRequest"];
/** A statement of a policy that decided. */
export type PolicyMatch = components["schemas"]["PolicyMatch"];
/** What is wrong with a policy's text, or worth a second look. */
export type PolicyProblem = components["schemas"]["PolicyProblem"];
/** A place in a text, counted from 1; columns count code points. */
export type TextPlace = components["schemas"]["TextPlace"];
/** "May X do Y?" */
export type AccessQuestion = components["schemas"]["ExplainAccess"];
export type AccessExplanation = components["schemas"]["AccessExplanation"];
export type LoginResult = components["schemas"]["LoginResponse"];
/** A login that needs another proof. */
export type PendingLogin = components["schemas"]["PendingLogin"];
export type TenantState = components["schemas"]["TenantState"];
/** A workspace that the signed-in person belongs to. */
export type MyTenant = components["schemas"]["MyTenant"];
/** How a workspace looks and what it is told by. */
export type Branding = components["schemas"]["Branding"];
export type NewBranding = components["schemas"]["PutBranding"];
/** How pages look under a host name, before anybody has signed in. */
export type PublicBranding = components["schemas"]["PublicBranding"];
export type QuotaResource = components["schemas"]["QuotaResource"];
export type Quota = components["schemas"]["Quota"];
export type Quotas = components["schemas"]["Quotas"];
export type NewQuotas = components["schemas"]["PutQuotas"];
/** A copy of all that a workspace has. */
export type TenantExport = components["schemas"]["TenantExport"];
export type Invitation = components["schemas"]["Invitation"];
export type InvitationPreview = components["schemas"]["InvitationPreview"];
export type LoginNeed = components["schemas"]["LoginNeed"];
export type SecondFactor = components["schemas"]["SecondFactor"];
/** A way to prove who one is. */
export type LoginMethod = components["schemas"]["Method"];
/** What the login page offers. */
export type LoginMethods = components["schemas"]["LoginMethods"];
export type LoginConnection = components["schemas"]["LoginConnection"];
/** The end of a login in which a second factor was set up. */
export type EnrolledLogin = components["schemas"]["EnrolledLogin"];
/** A challenge for a passkey. */
export type PasskeyCeremony = components["schemas"]["PasskeyCeremony"];
export type Passkey = components["schemas"]["Passkey"];
export type TotpSetup = components["schemas"]["TotpSetup"];
export type SecurityOverview = components["schemas"]["SecurityOverview"];
export type LoginSession = components["schemas"]["LoginSession"];
export type LoginPolicy = components["schemas"]["LoginPolicy"];
export type NewLoginPolicy = components["schemas"]["PutLoginPolicy"];
/** With what a person can prove that it is still them. */
export type StepUpOptions = components["schemas"]["StepUpOptions"];
export type StepUpProof = components["schemas"]["StepUp"];
/** A connection to an identity provider. */
export type Connection = components["schemas"]["Connection"];
export type NewConnection = components["schemas"]["CreateConnection"];
export type ConnectionUpdate = components["schemas"]["UpdateConnection"];
export type ConnectionPreset = components["schemas"]["ConnectionPreset"];
export type ConnectionDomain = components["schemas"]["ConnectionDomain"];
export type ConnectionTest = components["schemas"]["ConnectionTest"];
export type ConnectionCheck = components["schemas"]["ConnectionCheck"];
/** A person with an account at a connection's provider. */
export type ConnectionAccount = components["schemas"]["ConnectionAccount"];
export type MappingRule = components["schemas"]["MappingRule"];
export type SingleSignOn = components["schemas"]["SingleSignOn"];
export type LinkedAccount = components["schemas"]["LinkedAccount"];
export type ClaimedDomain = components["schemas"]["ClaimedDomain"];

/* Encryption */
/** A key that seals a workspace's secrets. */
export type DataKey = components["schemas"]["DataKey"];
export type KeyRotation = components["schemas"]["KeyRotation"];
export type EncryptionStatus = components["schemas"]["EncryptionStatus"];
export type MasterKeyPlace = components["schemas"]["MasterKeyPlace"];
export type MasterKey = components["schemas"]["MasterKey"];
export type InstallationEncryption = components["schemas"]["InstallationEncryption"];
/** A service that shows a certificate of its own instead of an API key. */
export type ServiceIdentity = components["schemas"]["ServiceIdentity"];

/* Compliance */
/** Which security controls are met, and what shows it. */
export type ComplianceReport = components["schemas"]["ComplianceReport"];
export type ComplianceCatalogue = components["schemas"]["ComplianceCatalogue"];
export type ComplianceChapter = components["schemas"]["ComplianceChapter"];
export type ComplianceControl = components["schemas"]["ComplianceControl"];
export type ComplianceCounts = components["schemas"]["ComplianceCounts"];
/** What is left of a control's claim when it is held against the test run. */
export type ComplianceOutcome = components["schemas"]["ComplianceOutcome"];
export type ComplianceTestResult = components["schemas"]["ComplianceTestResult"];
export type ComplianceDocument = components["schemas"]["ComplianceDocument"];

/* Applications (OAuth) */
export type Application = components["schemas"]["Application"];
export type ApplicationKind = components["schemas"]["ApplicationKind"];
export type ApplicationSecret = components["schemas"]["ApplicationSecret"];
export type NewApplication = components["schemas"]["CreateApplication"];
export type ApplicationChange = components["schemas"]["UpdateApplication"];
/** An application with a secret that was just made; it is shown once. */
export type ApplicationWithSecret = components["schemas"]["ApplicationWithSecret"];
/** What a person allowed an application. */
export type ApplicationGrant = components["schemas"]["ApplicationGrant"];
export type AskingApplication = components["schemas"]["AskingApplication"];
export type AuthorizationParameters = components["schemas"]["AuthorizationParameters"];
export type AuthorizationRequest = components["schemas"]["AuthorizationRequest"];
export type DeviceQuestion = components["schemas"]["DeviceQuestion"];
export type ScopeInWords = components["schemas"]["ScopeInWords"];

/* Models */
export type ModelKind = components["schemas"]["ModelKind"];
/** What a chat model can do beyond text. */
export type Capability = components["schemas"]["Capability"];
export type ModelState = components["schemas"]["ModelState"];
export type ModelPrice = components["schemas"]["ModelPrice"];
export type Model = components["schemas"]["Model"];
export type NewModel = components["schemas"]["NewModel"];
/** Another name of a model or a route. */
export type ModelAlias = components["schemas"]["ModelAlias"];
/** A price of one's own for a model. */
export type GivenPrice = components["schemas"]["GivenPrice"];
export type Provider = components["schemas"]["Provider"];
export type ProviderTest = components["schemas"]["ProviderTest"];
export type Route = components["schemas"]["Route"];
export type RouteSettings = components["schemas"]["RouteSettings"];
export type RouteStrategy = components["schemas"]["Strategy"];
/** Which answers a route gives again. */
export type RouteCache = components["schemas"]["RouteCache"];
export type CacheMode = components["schemas"]["CacheMode"];
export type CacheKind = components["schemas"]["CacheKind"];
/** Where an answer comes from that no model gave, or the vectors of texts that were known. */
export type CacheHit = components["schemas"]["CacheHit"];
export type ModelCache = components["schemas"]["ModelCache"];
export type ModelCacheSettings = components["schemas"]["CacheSettings"];
export type ModelCacheUsage = components["schemas"]["ModelCacheUsage"];
export type NewCustomModel = components["schemas"]["NewCustomModel"];
/** Weights that are fetched onto the server's machine. */
export type ModelPull = components["schemas"]["ModelPull"];
export type NewModelPull = components["schemas"]["NewModelPull"];
export type Benchmark = components["schemas"]["Benchmark"];
export type BenchmarkModelReport = components["schemas"]["BenchmarkModelReport"];
export type BenchmarkReport = components["schemas"]["BenchmarkReport"];
export type BenchmarkSuite = components["schemas"]["BenchmarkSuite"];
export type NewBenchmark = components["schemas"]["NewBenchmark"];
export type Estimate = components["schemas"]["Estimate"];
export type Budget = components["schemas"]["Budget"];
export type Batch = components["schemas"]["OpenAiBatch"];
export type BatchFile = components["schemas"]["OpenAiFile"];
export type ModelHealth = components["schemas"]["ModelHealth"];
export type Limit = components["schemas"]["ModelLimit"];
export type LimitSubject = components["schemas"]["LimitSubject"];
export type NewLimit = components["schemas"]["NewModelLimit"];
export type LimitChange = components["schemas"]["ModelLimitChange"];
export type NewBudget = components["schemas"]["NewBudget"];
export type BudgetSubject = components["schemas"]["BudgetSubject"];
export type CallPurpose = components["schemas"]["Purpose"];
export type CallStatus = components["schemas"]["CallStatus"];
export type ModelCall = components["schemas"]["ModelCall"];
export type UsageDimension = components["schemas"]["UsageDimension"];
export type UsageTable = components["schemas"]["Usage"];
export type UsageLine = components["schemas"]["UsageLine"];
export type UsageSums = components["schemas"]["UsageSums"];
/** What is kept of calls. The server fills in what a request leaves out. */
export type CaptureSettings = Required<components["schemas"]["CaptureSettings"]>;
export type BuiltInRedaction = components["schemas"]["BuiltInRedaction"];
export type CallPayload = components["schemas"]["ModelCallPayload"];
export type KeptText = components["schemas"]["KeptText"];
export type CallQuality = components["schemas"]["CallQuality"];
export type CallFeedback = components["schemas"]["CallFeedback"];
export type NewCallFeedback = components["schemas"]["NewCallFeedback"];
export type QualitySettings = components["schemas"]["QualitySettings"];
export type NewQualitySettings = components["schemas"]["NewQualitySettings"];
export type QualityScores = components["schemas"]["QualityScores"];
export type ScoreSource = components["schemas"]["ScoreSource"];
export type Prompt = components["schemas"]["Prompt"];
export type NewPrompt = components["schemas"]["NewPrompt"];
export type PromptAlias = components["schemas"]["PromptAlias"];
export type PromptShare = components["schemas"]["PromptShare"];
export type PromptVersion = components["schemas"]["PromptVersion"];
export type NewPromptVersion = components["schemas"]["NewPromptVersion"];
export type PromptMessage = components["schemas"]["PromptMessage"];
export type PromptRole = components["schemas"]["PromptRole"];
export type PromptVariable = components["schemas"]["PromptVariable"];
export type VariableType = components["schemas"]["VariableType"];
export type PromptParameters = components["schemas"]["PromptParameters"];
export type PromptRendering = components["schemas"]["PromptRendering"];
export type RenderedPrompt = components["schemas"]["RenderedPrompt"];
export type RenderedMessage = components["schemas"]["RenderedMessage"];
/** An answer of `/v1/chat/completions`. */
export type ChatCompletion = components["schemas"]["ChatCompletion"];
export type Usage = components["schemas"]["ModelUsageReport"];
export type UsageDay = components["schemas"]["DayUsage"];
export type UsageModel = components["schemas"]["ModelUsage"];

/* Knowledge */
export type Collection = components["schemas"]["Collection"];
export type Reembedding = components["schemas"]["Reembedding"];
/** The vector index of a collection. */
export type CollectionIndex = components["schemas"]["CollectionIndex"];
export type CollectionIndexState = components["schemas"]["CollectionIndexState"];
export type IndexRecall = components["schemas"]["IndexRecall"];
/** Where the vectors of a collection are, and where they go. */
export type CollectionPlacement = components["schemas"]["CollectionPlacement"];
export type CollectionPlace = components["schemas"]["PlaceStatus"];
export type CollectionShard = components["schemas"]["ShardStatus"];
export type PlacementChoice = components["schemas"]["PlacementChoice"];
/** A Postgres with pgvector that holds vectors of collections. */
export type SearchNode = components["schemas"]["NodeStatus"];
export type SearchNodeDatabase = components["schemas"]["NodeDatabase"];
export type KnowledgeDocument = components["schemas"]["KnowledgeDocument"];
export type NewDocument = components["schemas"]["AddDocument"];
/** Who may see a document; null where everybody may. */
export type DocumentAccess = components["schemas"]["Access"];
export type DocumentState = components["schemas"]["DocumentState"];
export type DocumentProgress = components["schemas"]["DocumentProgress"];
export type DocumentText = components["schemas"]["DocumentText"];
/** `start` and `end` are offsets in Unicode code points into the document's text. */
export type Passage = components["schemas"]["PassageRange"];
export type Metadata = KnowledgeDocument["metadata"];
export type MetadataValue = Metadata[string];
export type SearchMode = components["schemas"]["SearchMode"];
export type SearchRequest = components["schemas"]["SearchRequest"];
export type SearchResult = components["schemas"]["SearchAnswer"];
export type SearchFacet = components["schemas"]["Facet"];
export type SynonymSets = components["schemas"]["SynonymSets"];
export type CollectionSynonyms = components["schemas"]["CollectionSynonyms"];
export type SearchHit = components["schemas"]["Hit"];
export type SearchExplanation = components["schemas"]["SearchExplanation"];
export type ScoreComponent = components["schemas"]["ScoreComponent"];
export type SearchDuplicate = components["schemas"]["Duplicate"];
export type RankingSettings = components["schemas"]["RankingSettings"];
export type FusionMethod = components["schemas"]["FusionMethod"];
export type Span = components["schemas"]["Highlight"];
/** The specification describes filters in words only. */
export type FilterValue = string | number | boolean | { time: string } | { lat: number; lon: number };
export interface FilterOperators {
  in?: FilterValue[];
  ne?: FilterValue;
  gte?: number | string;
  gt?: number | string;
  lte?: number | string;
  lt?: number | string;
  exists?: boolean;
  contains_all?: FilterValue[];
  contains_any?: FilterValue[];
  prefix?: string;
  near?: { lat: number; lon: number; within_m: number };
  box?: { south: number; west: number; north: number; east: number };
}
export type FilterCondition = FilterValue | FilterOperators;
/** Conditions by field; `and` and `or` hold lists of filters, `not` holds one. */
export interface SearchFilter {
  [field: string]: FilterCondition | SearchFilter | SearchFilter[];
}

/* Answers: server-sent events and their contents */
export type AskRequest = components["schemas"]["AskRequest"];
export type AskStreamEvent = components["schemas"]["AskStreamEvent"];
export type DraftStreamEvent = components["schemas"]["DraftStreamEvent"];
export type AskPassage = components["schemas"]["AskPassage"];
export type AskStage = components["schemas"]["AskStage"];
export type AskProgress = components["schemas"]["AskProgress"];
export type AskCitation = components["schemas"]["Citation"];
export type AskDone = components["schemas"]["AskDone"];

/* Content */
export type ContentCitation = components["schemas"]["ContentCitation"];
export type ContentSummary = components["schemas"]["ContentDocumentSummary"];
export type ContentDocument = components["schemas"]["ContentDocument"];
export type Revision = components["schemas"]["Revision"];
export type Diff = components["schemas"]["Diff"];
export type DiffHunk = components["schemas"]["DiffHunk"];
export type DiffLine = components["schemas"]["DiffLine"];
export type DraftRequest = components["schemas"]["NewDraft"];

/* Audit */
export type AuditRecord = components["schemas"]["AuditRecord"];
export type AuditDetail = components["schemas"]["AuditDetail"];
export type AuditCheckpoint = components["schemas"]["AuditCheckpoint"];
export type AuditLogState = components["schemas"]["AuditLogState"];
export type AuditKey = components["schemas"]["AuditKey"];
export type AuditSink = components["schemas"]["AuditSink"];
export type AuditSinkTarget = components["schemas"]["AuditSinkTarget"];
export type AuditSinkTest = components["schemas"]["AuditSinkTest"];
export type NewAuditSink = components["schemas"]["CreateAuditSink"];
export type AuditSinkChange = components["schemas"]["ChangeAuditSink"];

/* Whole system */
export type PlasmaEvent = components["schemas"]["Event"];
export type Job = components["schemas"]["Job"];
export type Overview = components["schemas"]["Overview"];
/** A person, a program with a key, or Plasma itself. */
export type Actor = components["schemas"]["Actor"];

/** What the server says over the WebSocket of `/api/v1/live`: the specification does not describe WebSocket messages. */
export type LiveMessage =
  | { type: "event"; event: PlasmaEvent }
  | { type: "progress"; document_id: string; collection_id: string; state: DocumentState; done: number; total: number; seconds_left: number | null }
  | { type: "ready"; head: string | null }
  | { type: "error"; error: Problem };
