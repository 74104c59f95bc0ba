import { isTimeZone, weekdays } from '@keyturn/rotator';
import { z } from 'zod';

/** What is no window is not judged as one by what comes behind. */
const abort = true;

const timeOfDay = z
  .string('must be a time of day between quotation marks: "22:00"')
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, {
    error: 'must be a time of day between quotation marks: "22:00"',
    abort,
  });

/** `{ days: [fri], from: "22:00", to: "04:00", timeZone: Europe/Berlin }` */
export const maintenanceWindow = z
  .strictObject({
    days: z
      .array(z.enum(weekdays, `must be one of ${weekdays.join(', ')}`))
      .min(1, { error: 'must name at least one day', abort })
      .describe('The days on which it opens.'),
    from: timeOfDay.describe('When it opens.'),
    to: timeOfDay.describe('When it closes; on the day after, if that is not later than it opens.'),
    timeZone: z
      .string()
      .refine(isTimeZone, { error: 'must be an IANA time zone: Europe/Berlin', abort })
      .describe('Whose clocks are meant: an IANA name such as Europe/Berlin.'),
  })
  .describe('When rotations may start; one that runs goes on past its close.');
