import { plainError, type ServiceReport } from '@keyturn/rotator';

/** What happens around rotations, in a sentence. */
export function reportInWords(report: ServiceReport): string {
  switch (report.kind) {
    case 'event':
      return `event: ${report.event.kind} of ${report.event.secret}: ${report.action}, because ${report.reason}`;
    case 'vault unseen':
      return `${report.secret} could not be looked at: ${inWords(report.error)}`;
    case 'drift':
      return report.findings.length === 0
        ? `${report.secret} is again as its last rotation left it`
        : `${report.secret} has drifted: ${report.findings.map(({ says }) => says).join('; ')}`;
    case 'drift unseen':
      return `${report.secret} could not be looked at for drift: ${inWords(report.error)}`;
    case 'accepted':
      return `${report.events} events accepted, ${report.ignored} of no concern`;
    case 'refused':
      return `a delivery of events was refused (${report.status}): ${report.reason}`;
    case 'validated':
      return 'Event Grid asked whether it may deliver, and may';
    case 'subscription deleted':
      return `the Event Grid subscription ${report.subscription} was deleted: nobody tells of expiries any more`;
    case 'handled':
      return `the event ${report.event.kind} of ${report.event.secret} is done with`;
    case 'failed':
      return `the event ${report.event.kind} of ${report.event.secret} comes again in ${Math.round(report.nextInMs / 1_000)} s: ${inWords(report.error)}`;
    case 'inbox unreadable':
      return `events can't be read: ${inWords(report.error)}`;
    case 'taken over':
      return `${report.rotation}  gone on with: the rotator ${report.from} is gone`;
    case 'notifications':
      return `notifications to ${report.report.target}: ${report.report.kind}`;
    case 'unexpected':
      return inWords(report.error);
  }
}

/** An error on one line. */
export function inWords(error: unknown): string {
  const { message, hint } = plainError(error);
  return hint === undefined ? message : `${message} (${hint})`;
}
