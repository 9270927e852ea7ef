import { z } from 'zod';

/** A duration such as `2s` or `500ms`, in milliseconds once read. */
export function duration(minMs: number, maxMs: number, shown: string) {
  return z.string().transform((text, context) => {
    const [, amount, unit] = /^([1-9]\d{0,6})(ms|s|m|h)$/.exec(text) ?? [];
    const ms = Number(amount) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(unit ?? 'ms') as 'ms'];
    if (ms >= minMs && ms <= maxMs) return ms;
    context.addIssue({ code: 'custom', message: `must be a duration of ${shown}, such as 500ms, 2s or 5m` });
    return z.NEVER;
  });
}

const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be lower case letters, digits, - and _, 63 at most, a letter first');
const files = z.array(z.string().min(1)).max(64).readonly().prefault([]);

function unique(list: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  list.forEach((item, i) => {
    if (list.findIndex((other) => other.name === item.name) < i)
      context.addIssue({ code: 'custom', path: [i, 'name'], message: `there are two of the name "${item.name}"` });
  });
}

const filter = z
  .strictObject({
    name: name.describe('Name of the filter in rules (`request.filters["name"]`) and on the record. Required.'),
    match: z
      .enum(['word', 'substring'])
      .default('word')
      .describe(
        '`word` (default): words and phrases match as whole words. `substring`: also inside of words, which finds more than is meant.',
      ),
    words: z.array(z.string().min(1)).max(1000).readonly().prefault([]).describe('Words and phrases. Default: none.'),
    wordFiles: files.describe(
      'Files of words and phrases, one a line, in UTF-8; empty lines and lines that begin with `#` are left out. Relative to this file. Default: none.',
    ),
    patterns: z
      .array(z.string().min(1).max(1024))
      .max(200)
      .readonly()
      .prefault([])
      .describe(
        'Regular expressions, without case, over text folded to ASCII. No lookaround, backreference or open-ended quantifier: they run in linear time. Default: none.',
      ),
    patternFiles: files.describe('Files of patterns, one a line, as `wordFiles`. Default: none.'),
  })
  .refine(
    ({ words, wordFiles, patterns, patternFiles }) =>
      words.length + wordFiles.length + patterns.length + patternFiles.length > 0,
    'has neither words, wordFiles, patterns nor patternFiles',
  );

/** The `filters:` section. */
export const filtersSection = z.array(filter).max(64).superRefine(unique).prefault([]);

const credential = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds it, relative to this file; one line end at its end is dropped. Read at start.'),
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('Environment variable that holds it.'),
    header: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'must be a header name in lower case')
      .default('authorization')
      .describe('Header that carries it. Default `authorization`.'),
    prefix: z
      .string()
      .regex(/^[\x21-\x7e]*(?: )?$/, 'must be one word, or one word and a space')
      .default('Bearer ')
      .describe('What is before it in the header. Default `Bearer `, with the space.'),
  })
  .refine((c) => (c.file === undefined) !== (c.env === undefined), 'must have either file or env');

export const isGuardUrl = (text: string): boolean => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password + url.hash === '';
};

const guard = z
  .strictObject({
    name: name.describe('Name of the guard in rules (`guard("name")`) and on the record. Required.'),
    kind: z
      .enum(['moderation', 'chat', 'webhook'])
      .describe(
        '`moderation`: an endpoint like OpenAI’s `/v1/moderations`. `chat`: a chat completions endpoint whose model answers `safe`, or `unsafe` and hazard codes (Llama Guard). `webhook`: a service of yours. Required.',
      ),
    url: z
      .string()
      .refine(isGuardUrl, 'must be an http or https URL without user or fragment')
      .describe(
        'Where it is asked, whole: `https://guard.example/v1/moderations`. It sees prompts: use https, or http on a network that nobody reads. Redirects are not followed. Required.',
      ),
    model: z.string().min(1).max(256).optional().describe('Model that is asked. Required for `chat`.'),
    credential: credential.optional().describe('What authenticates the gateway there. Default: nothing.'),
    timeout: duration(10, 30_000, '10ms to 30s')
      .prefault('2s')
      .describe('Longest wait for a verdict, waiting for a free place included. Default `2s`. Over it: a failure.'),
    concurrency: z.int().min(1).max(1024).default(16).describe('Requests under way at once. Default 16.'),
    waiting: z
      .int()
      .min(0)
      .max(10_000)
      .default(64)
      .describe('Checks that may wait for a place. Beyond it: a failure. Default 64, two seconds at 32 a second.'),
    cache: z
      .strictObject({
        entries: z.int().min(0).max(1_000_000).default(1000).describe('Verdicts kept; 0: none. Default 1000.'),
        ttl: duration(1000, 24 * 3_600_000, '1s to 24h')
          .prefault('5m')
          .describe('How long. Default `5m`.'),
      })
      .prefault({})
      .describe('Verdicts by SHA-256 of what was sent. Failures are not kept.'),
    onFailure: z
      .enum(['deny', 'allow'])
      .default('deny')
      .describe(
        'What a failure means (no answer in time, a status other than 200, an answer of another form). `deny` (default): the request is refused. `allow`: not flagged.',
      ),
    categories: z
      .array(z.string().min(1).max(128))
      .min(1)
      .max(200)
      .readonly()
      .optional()
      .describe('Only these categories flag. Default: whatever the classifier flags.'),
    threshold: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'Scores from here on flag, whatever the classifier says itself. Not for `chat`. Default: what it says.',
      ),
    maxCharacters: z
      .int()
      .min(1)
      .max(262_144)
      .default(65_536)
      .describe('Longest text that is sent, in UTF-16 units. Default 65536: a small classifier reads no more.'),
    tooLong: z
      .enum(['deny', 'head', 'ends'])
      .default('deny')
      .describe(
        'What becomes of a longer text. `deny` (default): refused, as nobody checked it. `head`: its beginning is checked. `ends`: beginning and end, half each.',
      ),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of the authorities that the server is checked against. Default: those of Node.'),
  })
  .refine(({ kind, model }) => kind !== 'chat' || model !== undefined, {
    message: 'is required for chat',
    path: ['model'],
  })
  .refine(({ kind, threshold }) => kind !== 'chat' || threshold === undefined, {
    message: 'is not for chat: there are no scores',
    path: ['threshold'],
  });

/** The `guards:` section. */
export const guardsSection = z.array(guard).max(32).superRefine(unique).prefault([]);

export type FilterConfig = z.output<typeof filter>;
export type GuardConfig = z.output<typeof guard>;
