/** `*.cases.yaml`: what a set of policies must say about requests that are written down. `sallyport policy test` runs them. */
import { z } from 'zod';
import { operatorTypes } from '../../detect/operator.ts';
import type { FormatId } from '../../exchange/facts.ts';

const count = z.int().min(0).max(1_000_000_000);
const counts = z.record(z.string().min(1), count);
const time = z.iso.datetime({ offset: true, error: 'must be a date and time such as "2026-01-15T09:30:00Z"' });

/** As `formats` of models.yaml has them. */
const formats = [
  'openai-chat',
  'openai-completions',
  'openai-responses',
  'openai-embeddings',
  'anthropic-messages',
  'gemini',
  'ollama-chat',
  'ollama-generate',
  'bedrock-converse',
  'tgi',
  'mcp',
  'opaque',
] as const satisfies readonly FormatId[];

const caller = z
  .strictObject({
    subject: z.string().min(1).optional().describe('Default `somebody`.'),
    provider: z.string().min(1).optional().describe('Default `test`.'),
    issuer: z.string().min(1).optional(),
    kind: z.enum(['person', 'service', 'peer']).optional().describe('Default `person`.'),
    proof: z.enum(['token', 'issued', 'saml', 'peer', 'jwt_authn']).optional().describe('Default `token`.'),
    email: z.string().min(1).optional(),
    groups: z.array(z.string()).optional().describe('Default none.'),
    groupsComplete: z.boolean().optional().describe('Default true.'),
    team: z.string().min(1).optional(),
    claims: z.record(z.string(), z.json()).optional(),
  })
  .describe('Who calls.');

const request = z
  .strictObject({
    method: z.string().min(1).optional().describe('Default `POST`.'),
    path: z
      .string()
      .startsWith('/')
      .optional()
      .describe(
        "Says which API it is. Default: that of `format`, else of the model's chat API, else of its first one.",
      ),
    format: z
      .enum(formats)
      .optional()
      .describe('Which API it has to be for the gate, by path and model; without a path the usual one of that API.'),
    host: z.string().optional(),
    clientAddress: z.string().optional(),
    headers: z
      .record(z.string().regex(/^[a-z0-9!#$%&'*+.^_`|~-]+$/, 'must be a header name in lower case'), z.string())
      .optional(),
    body: z
      .json()
      .optional()
      .describe(
        'As the client sends it. `model` may be left out: it is that of the case. Default: the smallest of the API.',
      ),
    findings: counts.optional().describe('Instead of what the detectors find in the body.'),
    filters: counts.optional().describe('Instead of what the content filters find.'),
    guards: z
      .record(
        z.string().min(1),
        z.union([
          z.strictObject({
            flagged: z.boolean(),
            categories: z.array(z.string()).default([]),
            scores: z.record(z.string(), z.number()).default({}),
          }),
          z.strictObject({ failed: z.string().min(1) }),
        ]),
      )
      .optional()
      .describe('What guards say. A guard that a rule asks and that is not here fails.'),
  })
  .describe('What is asked.');

const response = z
  .strictObject({
    status: z.int().min(100).max(599).default(200),
    contentType: z.string().default('application/json'),
    findings: counts.default({}),
    outputTokens: count.optional(),
    bytes: count.default(0),
    phase: z.enum(['headers', 'finding', 'toolCall', 'end']).default('end'),
  })
  .describe('What the model answered so far: the rules with `on: response` are asked.');

const change = z
  .strictObject({
    kind: z.enum(['register', 'version', 'config', 'retire']),
    fromVersion: z.string().optional(),
    toVersion: z.string().optional(),
    fields: z.array(z.string()).default([]),
    by: z.string().default('somebody'),
  })
  .describe('A change of the model: the rules with `on: lifecycle` are asked.');

const names = z.array(z.string().min(1));

const maskedBy = z.record(z.string().min(1), z.enum(operatorTypes)).optional();

const expectation = z
  .strictObject({
    verdict: z.enum(['allow', 'deny', 'requireApproval']).optional(),
    by: z
      .string()
      .min(1)
      .optional()
      .describe('`policy/rule` that denies or stops; the rule alone where that is clear.'),
    message: z.string().optional().describe('What the caller is told.'),
    rules: names.optional().describe('Every rule that matches, dry runs too, in any order.'),
    includes: names.optional().describe('Rules that match; others may.'),
    excludes: names.optional().describe('Rules that do not.'),
    mask: names.optional().describe('Detectors or categories that are masked in the answer: these and no others.'),
    maskRequest: names.optional(),
    operators: maskedBy.describe(
      'What becomes of detectors in the answer: `{email_address: hash}`. Others are not looked at.',
    ),
    operatorsRequest: maskedBy.describe('The same in the request.'),
    limits: z
      .array(z.strictObject({ rule: z.string().min(1), key: z.string().optional() }))
      .optional()
      .describe('Every limit that is charged, and its key (`string:jane`).'),
    approvers: names.optional(),
    stop: z.boolean().optional().describe('Whether a rule on the response stops it.'),
    refused: z
      .boolean()
      .optional()
      .describe('The gate refuses the request before any rule: it cannot be read, or the model does not take it.'),
  })
  .refine((expected) => Object.keys(expected).length > 0, 'must expect something');

const model = z
  .union([
    z.string().min(1),
    z.strictObject({
      name: z.string().min(1),
      version: z.string().min(1).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      formats: z.array(z.enum(formats)).min(1).optional(),
    }),
  ])
  .describe('Name in models.yaml, or a name with another version, other labels or other formats than it has there.');

const asked = {
  model: model.optional(),
  at: time.optional().describe('When. Default noon UTC of 15 January 2026, a Thursday.'),
  caller: caller.optional(),
  request: request.optional(),
  response: response.optional(),
  toolCall: z
    .strictObject({ name: z.string(), arguments: z.json().default({}) })
    .optional()
    .describe('A complete tool call in the answer.'),
  change: change.optional(),
};
const oneSubject = [
  (one: { readonly change?: unknown; readonly response?: unknown; readonly toolCall?: unknown }) =>
    one.change === undefined || (one.response === undefined && one.toolCall === undefined),
  { path: ['change'], message: 'change excludes response and toolCall' },
] satisfies [unknown, unknown];

const testCase = z
  .strictObject({ name: z.string().min(1).max(200), ...asked, expect: expectation })
  .refine(...oneSubject);

function noTwoOfOneName(
  cases: readonly { readonly name: string }[],
  context: { readonly addIssue: (issue: { code: 'custom'; path: PropertyKey[]; message: string }) => void },
): void {
  const names = new Set<string>();
  for (const [index, { name }] of cases.entries()) {
    if (names.has(name))
      context.addIssue({ code: 'custom', path: [index, 'name'], message: `there are two cases "${name}"` });
    names.add(name);
  }
}

/** A file of cases. `defaults` are merged under each case, level by level. */
export const casesFile = z.strictObject({
  apiVersion: z.literal('sallyport/v1', 'must be "sallyport/v1"'),
  kind: z.literal('PolicyCases', 'must be "PolicyCases"'),
  defaults: z
    .strictObject({
      model: model.optional(),
      at: time.optional(),
      caller: caller.optional(),
      request: request.optional(),
    })
    .default({}),
  cases: z.array(testCase).min(1, 'must have a case').max(1000).superRefine(noTwoOfOneName),
});

/** What `sallyport policy eval` reads: a case without name and expectation. `at`: default now. */
export const askedCase = z.strictObject(asked).refine(...oneSubject);

export type AskedCase = z.output<typeof askedCase>;
export type CasesFile = z.output<typeof casesFile>;
export type PolicyCase = CasesFile['cases'][number];
export type CaseRequest = NonNullable<PolicyCase['request']>;
