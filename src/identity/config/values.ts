/** Values that several parts of the `identity:` section share. */
import { z } from 'zod';

/** Asymmetric signature algorithms only (RFC 7518 §3.1, RFC 8037, RFC 9864): a shared secret would let every verifier sign. */
export const algorithm = z.enum([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]);

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** True for https, and for http on this machine: keys fetched in the clear elsewhere are anybody's keys. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname));
}

export const safeUrl = z
  .string()
  .refine(isSafeUrl, 'must be an https URL (http only on the loopback), without user or fragment');

export const claimPath = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/** A name, a dotted path, or a list of names where a name has dots itself. */
export type ClaimPath = string | readonly string[];

export const providerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower case letters, digits, - and _, 63 at most')
  .describe('Name of the provider on the record and in rules (`caller.provider`). Required.');

/** A secret comes from a file or the environment, never from this file itself. */
export const secret = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds it, relative to this file; one line end at its end is dropped.'),
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('Environment variable that holds it.'),
  })
  .refine((c) => (c.file === undefined) !== (c.env === undefined), 'must have either file or env');

export const lifetime = (text: string): number | undefined => {
  const found = /^(\d{1,6})(s|m|h|d)$/.exec(text);
  if (found === null) return undefined;
  return Number(found[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[found[2] as 's' | 'm' | 'h' | 'd'];
};

/** A duration such as `15m`, in seconds once read. */
export const duration = (bounds: { readonly min: number; readonly max: number }, shown: string) =>
  z.string().transform((text, ctx) => {
    const seconds = lifetime(text);
    if (seconds !== undefined && seconds >= bounds.min && seconds <= bounds.max) return seconds;
    ctx.addIssue({ code: 'custom', message: `must be a duration of ${shown}, such as 90s, 15m or 1h` });
    return z.NEVER;
  });
