export { systemClock, type Clock } from './clock.ts';
export type {
  By,
  Foreseen,
  GivenOrder,
  Operations,
  Order,
  Request,
  RotationState,
  RotationStatus,
  SecretStatus,
} from './operations.ts';
export type { ConfiguredSecret, Operator, Outlook } from './triggers/operator.ts';
export { cleanDrift, findDrift, type Cleaned, type Drift, type DriftOptions } from './drift.ts';
export type { Phase, ReportEvent, RotationEvent, RotationRecord } from './events.ts';
export type { Announcement, Fleet, Instance } from './fleet/fleet.ts';
export { JournalError } from './journal/journal-error.ts';
export { entraPassword } from './journal/entra-password.ts';
export type { JournalUrl } from './journal/journal-url.ts';
export type { Json, Run, Signal } from './journal/run.ts';
export { emptyJournal, openJournalView, type JournalView, type OpenJournalView } from './journal-view.ts';
export { keyVault, type KeyVaultOptions } from './key-vault.ts';
export {
  convergenceChecks,
  hasConverged,
  judgeConvergence,
  type ConvergenceFacts,
  type Verdict,
} from './policy/converged.ts';
export { plan, type Plan, type PlanOptions } from './plan.ts';
export { driftChecks } from './policy/drift-checks.ts';
export type { DriftCheckName, DriftFacts, DriftFinding } from './policy/drift-facts.ts';
export { mayStart, startChecks, type Refusal, type StartFacts } from './policy/may-start.ts';
export { overlapMs, overlapTooShort, shortestOverlapMs } from './policy/overlap.ts';
export { planChecks } from './policy/plan-checks.ts';
export type { OpenRotation, PlanFacts, PlanFinding, PlannedRotation } from './policy/plan-facts.ts';
export type { Consumer, SecretPolicy } from './policy/secret-policy.ts';
export { isTimeZone } from './policy/wall-clock.ts';
export { weekdays, type MaintenanceWindow, type Weekday } from './policy/window.ts';
export { windowsTooRare } from './policy/windows-too-rare.ts';
export { whichRotation, type Requested } from './policy/which-rotation.ts';
export { replacedVersion, rotationId, type Outcome, type Published, type Rotation } from './rotation.ts';
export { openRotator, type Rotator, type RotatorOptions } from './rotator.ts';
export { RotatorError, type RotatorErrorCode } from './rotator-error.ts';
export { rotate } from './runbook.ts';
export { versionTags, type Vault, type VaultVersion, type VersionTags } from './vault.ts';
export type { Auth } from './server/api-auth.ts';
export { entraAuth, type EntraOptions } from './server/entra-auth.ts';
export { localAuth } from './server/local-auth.ts';
export { openService, type Service, type ServiceOptions, type ServiceReport } from './service.ts';
export { entraTenant, eventGridAppId } from './triggers/entra-check.ts';
export type { WebhookAuth } from './triggers/webhook-auth.ts';
export type { Target } from './notify/deliver.ts';
export { openLog, type Log } from './telemetry/log.ts';
export { recordLine, reportLine, type Level, type LogLine } from './telemetry/log-line.ts';
export { plainError, type PlainError } from './telemetry/plain-error.ts';
export { withinLimits } from './vault-within-limits.ts';
