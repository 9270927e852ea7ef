import { z } from 'zod';

/** RFC 9110 §5.6.2, lower case. Hop-by-hop and framing headers would change the request, not authorise it. */
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, 'must be a header name')
  .transform((name) => name.toLowerCase());
const framesOrRoutes =
  /^(host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|cookie|x-sallyport-.*|x-envoy-.*)$/;
const notFraming = 'must not be a header that frames or routes the request';
const header = headerName.refine((name) => !framesOrRoutes.test(name), notFraming);
const identityHeader = 'x-sallyport-identity';

const identity = z.strictObject({
  header: headerName
    .refine((name) => name === identityHeader || !framesOrRoutes.test(name), notFraming)
    .default(identityHeader)
    .describe('Header that carries it. Default `x-sallyport-identity`. What a caller sends in it never arrives.'),
  audience: z
    .string()
    .min(1)
    .max(1024)
    .describe('`aud` of the JWT: the model must refuse one that does not name it. Required; not the gateway’s own.'),
});

const credential = z
  .strictObject({
    header: header.default('authorization').describe('Header that carries it. Default `authorization`.'),
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
    prefix: z
      .string()
      .max(64)
      .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
      .default('Bearer ')
      .describe('Written before it. Default `Bearer ` (with the space); empty for headers such as `x-api-key`.'),
  })
  .refine((c) => (c.file === undefined) !== (c.env === undefined), 'must have either file or env');

const upstream = z
  .string()
  .transform((text, ctx) => {
    const url = URL.parse(text);
    const plain =
      url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '' && url.hash === '';
    if (!plain || url.username !== '' || url.password !== '' || /[?#\s]/.test(text)) {
      ctx.addIssue({
        code: 'custom',
        message: 'must be http://host:port or https://host:port, without path, user or query',
      });
      return z.NEVER;
    }
    const tls = url.protocol === 'https:';
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
      tls,
    };
  })
  .describe('Where the model listens: `http://host:port` or `https://host:port`. Default ports 80 and 443.');

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/, 'must be letters, digits and ._:/@-, 128 at most')
  .describe('Name of the model, as callers write it in the request. Required.');

const host = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)$/, 'must be a host name without port')
  .transform((text) => text.toLowerCase());

const path = z
  .string()
  .regex(/^\/[A-Za-z0-9._~/-]*$/, 'must begin with / and be a plain path')
  .refine((text) => !/\/\/|(^|\/)\.{1,2}(\/|$)/.test(text), 'must not contain //, /./ or /../');

const match = z.strictObject({
  names: z
    .array(name)
    .default([])
    .describe("Further values of the request's model field that mean this model. Default: its name only."),
  hosts: z.array(host).default([]).describe('Host names that this entry answers to. Default: any.'),
  paths: z
    .array(path)
    .default([])
    .describe(
      'Path prefixes (whole segments) that this entry answers to. Default: the paths of its formats; `mcp` and `opaque` have none of their own.',
    ),
});

/** Every `FormatId` of src/exchange/facts.ts. */
const formats = [
  'openai-chat',
  'openai-completions',
  'openai-responses',
  'openai-embeddings',
  'anthropic-messages',
  'gemini',
  'ollama-chat',
  'ollama-generate',
  'tgi',
  'bedrock-converse',
  'mcp',
  'opaque',
] as const;

/** One entry of models.yaml. */
export const modelEntry = z.strictObject({
  name,
  version: z
    .string('must be text: quote it')
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be letters, digits and ._-, 64 at most')
    .describe("Version of the model. Required; on the record of every session, and part of the cluster's name."),
  upstream,
  formats: z
    .array(z.enum(formats))
    .min(1)
    .describe(
      'APIs that it speaks: `openai-chat`, `openai-completions`, `openai-responses`, `openai-embeddings`, `anthropic-messages`, `gemini`, `ollama-chat`, `ollama-generate`, `tgi`, `bedrock-converse`, `mcp`; and `opaque`: whatever else comes to its paths, unread but for its text. Required. Requests of `tgi`, `mcp` and `opaque` name no model: the entry is found by `match.hosts` and `match.paths`, and there must be one only. `mcp` and `opaque` need `match.paths`.',
    ),
  match: match.prefault({}).describe('Which requests mean this model.'),
  credential: credential
    .optional()
    .describe("The model's own credential; callers never see it. Default: none is sent."),
  identity: identity
    .optional()
    .describe(
      'Tell the model who calls it, in a JWT that the gateway signs (ES256, two minutes; keys at `<publicUrl>/.well-known/jwks.json`). Default: not told so, only by the plain header `x-sallyport-caller`.',
    ),
  labels: z
    .record(z.string(), z.string('must be text: quote it'))
    .default({})
    .describe('Labels for rules: `model.labels.risk`.'),
  cluster: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be the name of an Envoy cluster')
    .optional()
    .describe(
      "Envoy's name for its cluster, where a mesh gives it one (`sallyport envoy print` says which). Default: `model_<name>_<version>`, as the standalone Envoy has it.",
    ),
  team: z.string().min(1).optional().describe('Team that owns it, see `identity.teams`. Default: nobody.'),
});

export type ModelEntry = z.output<typeof modelEntry>;

/** The whole of models.yaml. */
export const modelsFile = z.strictObject({ models: z.array(modelEntry).min(1, 'must have a model').max(1000) });
