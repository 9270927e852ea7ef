/** Identities that Envoy itself has verified: mTLS peers, and tokens that its jwt_authn filter checked. */
import { z } from 'zod';

const spiffe = z
  .string()
  .regex(
    /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(\*|[A-Za-z0-9._-]+))*(\/\*\*)?$/,
    'must be a SPIFFE id; `*` stands for one segment of the path, `**` at the end for any number',
  );

export const peersSection = z.strictObject({
  allow: z
    .array(spiffe)
    .default([])
    .describe(
      'SPIFFE ids of mTLS peers that may call without a token: `spiffe://cluster.local/ns/batch/sa/*`. Taken from what Envoy verified (`source.principal`), never from a header. Default: none.',
    ),
});

export const jwtAuthnSection = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      'Take the identity that Envoy’s `jwt_authn` filter has verified (its dynamic metadata) where a request carries no token. Envoy must be configured to send it (`sallyport envoy print` does). Default false.',
    ),
  providers: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Names in `identity.providers` whose tokens Envoy checks. Issuer, audience, dates, required claims and groups are checked again here; the signature cannot be. Default: none.',
    ),
});
