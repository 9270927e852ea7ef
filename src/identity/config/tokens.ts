/** `identity.tokens`: the credentials that the gateway issues. */
import { z } from 'zod';
import { duration } from './values.ts';

export const tokensSection = z.strictObject({
  audience: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('`aud` of the tokens that the gateway issues. Default: `publicUrl`, which is their `iss`, too.'),
  lifetime: duration({ min: 60, max: 3600 }, '1m to 1h')
    .prefault('15m')
    .describe('How long a token is good. Never longer than what it was exchanged for, and 1h at most. Default `15m`.'),
  keyRotation: duration({ min: 3600, max: 366 * 86_400 }, '1h to 366d')
    .prefault('30d')
    .describe(
      'How long one signing key signs. The next one is published an hour before it signs, the old one until its last token has expired. Default `30d`.',
    ),
  revocationMaxAgeSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(30)
    .describe(
      'Seconds that the list of revocations may be used without a successful reading of the control state; after that requests get 503. It is read once a second. Default 30.',
    ),
});
