import { z } from 'zod';
import { MAX_MATCH_LENGTH } from './pattern.ts';

const id = z
  .string()
  .regex(/^[a-z][a-z0-9_]{1,62}$/, 'must be lower case letters, digits and _, 2 to 63 of them, a letter first');

const context = z.strictObject({
  words: z
    .array(z.string().min(1).max(48))
    .min(1)
    .max(200)
    .readonly()
    .describe('Words and phrases, compared without case and accents; `steuer*` is any word that begins so. Required.'),
  within: z
    .int()
    .min(1)
    .max(120)
    .default(64)
    .describe('How many characters before the match they may end. Default 64.'),
});

const patternPart = {
  pattern: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe(
      'Regular expression over text folded to ASCII; the longest match counts. No lookaround, no backreference, no quantifier without a maximum: what streams must be decidable a few characters later. `\\b` only at the ends.',
    ),
  ignoreCase: z.boolean().default(false).describe('Whether `pattern` is compared without case. Default false.'),
  maxLength: z
    .int()
    .min(1)
    .max(MAX_MATCH_LENGTH)
    .default(256)
    .describe(
      'Longest match that `pattern` may have, in characters; a pattern that could match more is refused. It is what an answer may have to hold back. Default 256.',
    ),
  validator: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Confirms a match of `pattern`: `luhn`, `verhoeff`, `mod97` (ISO 7064 MOD 97-10), `mod11_10`, or the id of a built-in detector, for its check. See [detectors.md](detectors.md).',
    ),
  context: context.optional().describe('Words of which one must stand before a match. Default: none is asked for.'),
  unless: context.optional().describe('Words that speak against a match, where no word of `context` is nearer.'),
};

const values = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .describe(
        'File that `sallyport hash-values` made: what it holds are hashes under a key, not the values. Relative to this file. Required.',
      ),
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the key, at least 16 bytes. Relative to this file.'),
    keyEnv: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('Environment variable that holds the key.'),
    words: z
      .int()
      .min(1)
      .max(4)
      .default(1)
      .describe(
        'How many words a value may have. Default 1. With more, an answer is held back by as many words, as nobody can tell a beginning from its hash. Not with `pattern`.',
      ),
    minLength: z
      .int()
      .min(3)
      .max(64)
      .default(6)
      .describe('Shorter words of the text are not compared. Default 6. Not with `pattern`.'),
  })
  .refine((v) => (v.keyFile === undefined) !== (v.keyEnv === undefined), 'must have either keyFile or keyEnv');

const detector = z
  .strictObject({
    id: id.describe(
      'Name of the detector in rules, on the record and in labels (`<CUSTOMER_NUMBER>`). Not one that is built in. Required.',
    ),
    categories: z
      .array(z.enum(['pii', 'finance', 'health', 'secrets', 'network']))
      .min(1)
      .readonly()
      .default(['pii'])
      .describe('Categories that it belongs to, so that rules on these mean it, too. Default `[pii]`.'),
    doc: z.string().max(500).default('').describe('What it is. Default: nothing.'),
    ...patternPart,
    words: z
      .array(z.string().min(1).max(256))
      .max(10_000)
      .readonly()
      .prefault([])
      .describe('Words and phrases. Default: none.'),
    wordFiles: z
      .array(z.string().min(1))
      .max(16)
      .readonly()
      .prefault([])
      .describe(
        'Files of words and phrases, one a line, in UTF-8; empty lines and lines that begin with `#` are left out. Relative to this file. Default: none.',
      ),
    match: z
      .enum(['word', 'substring'])
      .default('word')
      .describe('`word` (default): words match as whole words. `substring`: inside of words, too.'),
    values: values
      .optional()
      .describe('Exact values that the gateway knows only by their hashes: customers, canaries.'),
  })
  .superRefine((own, issues) => {
    const complain = (path: string, message: string) => issues.addIssue({ code: 'custom', path: [path], message });
    const hasWords = own.words.length + own.wordFiles.length > 0;
    if (own.pattern === undefined && own.values === undefined && !hasWords)
      complain('pattern', 'has neither pattern, words, wordFiles nor values');
    if (hasWords && (own.pattern ?? own.values) !== undefined)
      complain('words', 'stand alone: write another detector for a pattern or for values');
    if (own.validator !== undefined && own.pattern === undefined)
      complain('validator', 'confirms a pattern, and there is none');
    if (own.validator !== undefined && own.values !== undefined)
      complain('validator', 'is not needed: the values confirm what `pattern` matches');
  });

/** The `detectors:` section. */
export const detectorsSection = z
  .array(detector)
  .max(200)
  .superRefine((list, issues) => {
    list.forEach((own, i) => {
      if (list.findIndex((other) => other.id === own.id) < i)
        issues.addIssue({ code: 'custom', path: [i, 'id'], message: `there are two of the id "${own.id}"` });
    });
  })
  .prefault([]);

export type OwnDetectorConfig = z.output<typeof detector>;
