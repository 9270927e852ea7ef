import { z } from 'zod';
import { detectors } from '../detect/registry.ts';
import { duration, isGuardUrl } from './config.ts';

const entity = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,62}$/, 'must be the name of an entity as Presidio has it, such as PERSON')
  .refine(
    (name) => !detectors.some(({ id }) => id === name.toLowerCase()),
    'has a detector of its own: it is found without an analyzer',
  );

/** The `names:` section. */
export const namesSection = z.strictObject({
  engine: z
    .literal('presidio')
    .describe('Who finds them: `presidio`, an analyzer of Microsoft Presidio over HTTP. Required.'),
  url: z
    .string()
    .refine(isGuardUrl, 'must be an http or https URL without user or fragment')
    .describe(
      "Presidio's analyzer, whole: `http://presidio-analyzer:3000/analyze`. It sees texts as they are: use https, or http on a network that nobody reads. Redirects are not followed. Required.",
    ),
  language: z
    .string()
    .regex(/^[a-z]{2,8}$/, 'must be the code of a language, such as en')
    .default('en')
    .describe('Language that the analyzer is told. Default `en`.'),
  entities: z
    .array(entity)
    .min(1)
    .max(32)
    .readonly()
    .prefault(['PERSON', 'LOCATION', 'ORGANIZATION'])
    .describe(
      'What it is asked for; each is a detector in lower case: `person`. Default PERSON, LOCATION and ORGANIZATION, of which the analyzer has to know one at least.',
    ),
  scoreThreshold: z.number().min(0).max(1).default(0.5).describe('What scores less is no name. Default 0.5.'),
  timeout: duration(10, 30_000, '10ms to 30s')
    .prefault('500ms')
    .describe('Longest wait for one sentence, waiting for a free place included. Default `500ms`. Over it: a failure.'),
  maxHoldback: z
    .int()
    .min(64)
    .max(8192)
    .default(400)
    .describe(
      'Longest text that is asked about, and so held back while no sentence ends, in UTF-16 units. Default 400: a long sentence.',
    ),
  concurrency: z.int().min(1).max(1024).default(16).describe('Sentences under way at once. Default 16.'),
  waiting: z
    .int()
    .min(0)
    .max(10_000)
    .default(256)
    .describe('Sentences that may wait for a place. Beyond it: a failure. Default 256.'),
  onFailure: z
    .enum(['close', 'open'])
    .default('close')
    .describe(
      'What a failure means (no answer in time, a status other than 200, an answer of another form). `close` (default): the request is refused, the stream broken off. `open`: the sentence goes on with its names in it, and is counted as `names_unread`.',
    ),
});

export type PresidioConfig = z.output<typeof namesSection>;
