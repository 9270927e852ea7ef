import { z } from 'zod';

const secret = z
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
  })
  .refine(({ file, env }) => (file === undefined) !== (env === undefined), 'must have exactly one of file and env');

/** How much of a JSON answer is kept until its end. */
const json = z.strictObject({
  maxBytes: z
    .int()
    .min(64 * 1024)
    .max(256 * 1024 * 1024)
    .default(16 * 1024 * 1024)
    .describe(
      'Largest answer that is one JSON body, in bytes: it is kept in memory until its end, and leaves masked or not at all. What becomes of a larger one: `beyond`. Of an array that streams (Gemini) the largest item.',
    ),
  beyond: z
    .enum(['refuse', 'stream'])
    .default('refuse')
    .describe(
      'A longer answer that is one JSON body: `refuse` (502 `response_unreadable`, or that error in place of the body where its headers have gone) or `stream`: it is masked as it comes, of any length, in some 200 KiB of memory, and what is found wrong later ends it in the middle. Where rules in force ask about tool calls it is refused all the same. Default refuse: an answer whose end nobody has seen may be cut off.',
    ),
});

/** The `masking:` section. */
export const maskingSection = z
  .strictObject({
    key: secret
      .optional()
      .describe(
        'Key (32 bytes, base64url) of the operators `hash` and `encrypt`. Replicas share it: else equal values have different hashes. Default: `masking.key` in stateDir, made at the first start.',
      ),
    previousKey: secret
      .optional()
      .describe('The key before: `sallyport decrypt` takes it too. The gateway masks with `key` alone.'),
    json: json.prefault({}),
  })
  .refine(({ key, previousKey }) => previousKey === undefined || key !== undefined, {
    message: 'needs masking.key',
    path: ['previousKey'],
  });
