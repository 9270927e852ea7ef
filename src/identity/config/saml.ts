/** One SAML 2.0 identity provider of `identity.saml`. */
import { z } from 'zod';
import { providerName, safeUrl } from './values.ts';

const idp = z
  .strictObject({
    metadataFile: z.string().min(1).optional().describe("File with the IdP's metadata (XML), relative to this file."),
    metadataUrl: safeUrl
      .optional()
      .describe(
        "Where the IdP's metadata (XML) is fetched, once an hour; the last good one stays in force for `metadataMaxAgeSeconds`.",
      ),
    metadataMaxAgeSeconds: z
      .int()
      .min(60)
      .default(86_400)
      .describe(
        'Seconds that fetched metadata may be used without a successful fetch; after that every assertion is refused. Default 86400 (a day).',
      ),
  })
  .refine((m) => (m.metadataFile === undefined) !== (m.metadataUrl === undefined), {
    message: 'must have either metadataFile or metadataUrl',
  });

/**
 * Assertions must be signed (RSA or ECDSA with SHA-256 or better), for us, unused, and minutes old; none of that can be
 * turned off.
 */
export const samlProvider = z
  .strictObject({
    name: providerName,
    entityId: z.string().min(1).max(1024).describe('`entityID` of the IdP, the Issuer of its assertions. Required.'),
    idp: idp.describe('Where its metadata is: certificates and the single sign-on address.'),
    audience: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe(
        '`entityID` of this gateway, the Audience of assertions for it. Default `<publicUrl>/saml/<name>/metadata`.',
      ),
    decryptionKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM private key (RSA) for encrypted assertions, relative to this file. Default: encrypted ones are refused.',
      ),
    decryptionCertFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM certificate of that key, published in our metadata. Required with `decryptionKeyFile`.'),
    subjectAttribute: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Attribute that names the caller for good (`caller.subject`). Default: the NameID, which must then be persistent or an e-mail address, not transient.',
      ),
    emailAttribute: z.string().min(1).default('email').describe('Attribute with the e-mail address. Default `email`.'),
    groupsAttributes: z
      .array(z.string().min(1))
      .default(['groups'])
      .describe('Attributes that hold groups; all count. Default `[groups]`.'),
    prefix: z.string().max(64).default('').describe('Written before each group that `rename` does not name.'),
    rename: z
      .record(z.string().min(1), z.string().min(1))
      .default({})
      .describe('Group of the IdP → group of the rules.'),
    onlyRenamed: z
      .boolean()
      .default(false)
      .describe('Leave out every group that `rename` does not name. Default false.'),
    maxAgeSeconds: z
      .int()
      .min(30)
      .max(3600)
      .default(300)
      .describe('Oldest assertion in seconds since its IssueInstant. Default 300.'),
    leewaySeconds: z
      .int()
      .min(0)
      .max(300)
      .default(30)
      .describe('Clock difference in seconds that dates tolerate. Default 30.'),
    maxBytes: z
      .int()
      .min(1024)
      .max(1_048_576)
      .default(131_072)
      .describe('Longest response or assertion in bytes, decoded. Default 131072 (128 KiB).'),
    bearerAssertions: z
      .boolean()
      .default(true)
      .describe('Whether API callers may exchange an assertion at `/oauth/token` (RFC 7522). Default true.'),
  })
  .refine((s) => (s.decryptionKeyFile === undefined) === (s.decryptionCertFile === undefined), {
    message: 'needs both decryptionKeyFile and decryptionCertFile, or neither',
  });
