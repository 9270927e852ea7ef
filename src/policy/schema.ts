import { z } from 'zod';
import { type OperatorType, operatorTypes } from '../detect/operator.ts';
import { type Effect, severities } from './decision.ts';
import { durationMs } from './duration.ts';
import { didYouMean } from './problem.ts';

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be lower case letters, digits, ".", "-" and "_", 63 at most');
const expression = z.string('must be a CEL expression (text)').min(1, 'must not be empty');
const mode = z
  .enum(['enforce', 'dryRun'], 'must be "enforce" or "dryRun"')
  .describe(
    '`dryRun`: evaluated and recorded, not enforced. A rule without one has that of its file, `enforce` by default.',
  );
const severity = z.enum(severities, `must be one of: ${severities.join(', ')}`);
const labels = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'must be letters, digits, ".", "_", "-" and "/", 63 at most'),
    z.string('must be a text').max(200, 'must be 200 characters at most'),
  )
  .refine((all) => Object.keys(all).length <= 32, 'there are more than 32 labels');
const models = z
  .array(z.string('must be a name or a pattern').max(200, 'is longer than 200 characters'))
  .min(1, 'must name a model; leave it out for all')
  .max(1000);

/** `then: …`, spelled so that linters and `await` do not take a schema for a promise. */
const then = 'then';
const effect = <E extends Effect>(name: E) => ({ [then]: z.literal(name) }) as { readonly then: z.ZodLiteral<E> };

const common = { name, mode: mode.optional(), when: expression.optional(), models: models.optional() };
const tagged = { ...common, severity: severity.optional(), labels: labels.optional() };
const worded = {
  ...tagged,
  message: z
    .string('must be a text')
    .min(1, 'must not be empty')
    .max(1000, 'must be 1000 characters at most')
    .optional(),
  messageExpression: expression.optional(),
};
const oneWording = [
  (rule: { readonly message?: string | undefined; readonly messageExpression?: string | undefined }) =>
    rule.message === undefined || rule.messageExpression === undefined,
  { path: ['messageExpression'], message: 'message and messageExpression exclude each other' },
] satisfies [unknown, unknown];

const decides = (then: string) =>
  z
    .enum(
      ['request', 'lifecycle'],
      `must be "request" or "lifecycle": ${then} decides before the model is called; to end an answer, use "then: stop"`,
    )
    .default('request');
const onRequest = z
  .literal('request', 'must be "request": limits are charged before the model is called')
  .default('request');
const onResponse = z
  .literal('response', 'must be "response": stop ends an answer; to refuse a request, use "then: deny"')
  .default('response');
const side = z.enum(['request', 'response'], 'must be "request", "response" or a list of them: mask works on both');
const sides = z
  .union(
    [
      side,
      z
        .array(side)
        .min(1, 'must not be empty')
        .max(2)
        .refine((all) => new Set(all).size === all.length, 'names one twice'),
    ],
    {
      error: 'must be "request", "response" or a list of them: mask works on both',
    },
  )
  .default('response');

const whole = (most: number) =>
  z.int('must be a whole number').min(1, 'must be 1 at least').max(most, `must be ${most} at most`);
const duration = (leastMs: number, mostMs: number, range: string) =>
  z.string(`must be a duration such as 30m`).refine((text) => {
    const ms = durationMs(text);
    return ms !== undefined && ms >= leastMs && ms <= mostMs;
  }, `must be a duration ${range}: a whole number with s, m, h or d`);

const grant = z
  .strictObject({
    scope: z
      .enum(['request', 'rule'], 'must be "request" or "rule"')
      .default('request')
      .describe(
        '`request`: good for exactly this request; `rule`: for whatever this caller sends that the rule asks about.',
      ),
    uses: whole(1000).default(1),
    for: duration(1000, 30 * 86_400_000, 'of 1s to 30d').default('30m'),
  })
  .prefault({});

const perWindow = { per: duration(1000, 366 * 86_400_000, 'of 1s to 366d') };
const most = whole(1_000_000_000_000);
const limitWindow = z
  .strictObject({ requests: most.optional(), tokens: most.optional(), ...perWindow })
  .refine((one) => (one.requests === undefined) !== (one.tokens === undefined), {
    message: 'must have exactly one of requests and tokens',
  });

const allow = z.strictObject({ ...tagged, on: decides('allow'), ...effect('allow') });
const deny = z.strictObject({ ...worded, on: decides('deny'), ...effect('deny') }).refine(...oneWording);
const requireApproval = z
  .strictObject({
    ...worded,
    on: decides('requireApproval'),
    ...effect('requireApproval'),
    approvers: z
      .array(z.string('must be the name of a group').min(1, 'must not be empty').max(200))
      .min(1, 'must name a group')
      .max(50)
      .describe('Groups whose members may answer.'),
    minApprovals: whole(20).default(1).describe('How many of them have to say yes.'),
    reasonRequired: z.boolean('must be true or false').default(false),
    grant,
  })
  .refine(...oneWording);
const limit = z
  .strictObject({
    ...worded,
    on: onRequest,
    ...effect('limit'),
    by: expression
      .optional()
      .describe(
        'What is counted apart: a string, int, bool, double, or a list or map of them. Left out: one counter for all.',
      ),
    limits: z.array(limitWindow).min(1, 'must have a limit').max(10),
  })
  .refine(...oneWording)
  .refine((rule) => new Set(rule.limits.map(windowName)).size === rule.limits.length, {
    path: ['limits'],
    message: 'has two limits of one kind and window',
  });

const plainOperators = operatorTypes.filter((type): type is Exclude<OperatorType, 'mask'> => type !== 'mask');
const operator = z.union(
  [
    z.enum(operatorTypes),
    z.strictObject({ type: z.enum(plainOperators) }),
    z.strictObject({
      type: z.literal('mask'),
      keepLast: z
        .int()
        .min(0)
        .max(64)
        .default(4)
        .describe('Letters and digits at the end that stay; never more than a quarter of them.'),
      with: z
        .string()
        .regex(/^[*#?_.xX•]$/u, 'must be one of: * # ? _ . x X •')
        .default('*')
        .describe('What the others become.'),
    }),
  ],
  { error: ({ input }) => operatorProblem(input) },
);

/** What is wrong with what stands for an operator. */
function operatorProblem(input: unknown): string {
  const types = operatorTypes.join(', ');
  const type: unknown = typeof input === 'object' && input !== null ? (input as { type?: unknown }).type : input;
  if (typeof type !== 'string') return `must be an operator: ${types}, or a map with one as its type`;
  return `must be one of: ${types}.${didYouMean(type, operatorTypes)}`;
}

const mask = z.strictObject({
  ...tagged,
  on: sides,
  ...effect('mask'),
  detect: z.array(z.string().min(1)).min(1, 'must name a detector or a category').max(1000),
  operator: operator.optional().describe('What matches become. Default `replace`.'),
  operators: z
    .record(z.string().min(1), operator)
    .optional()
    .describe('What matches of these detectors or categories become; a detector goes before its categories.'),
});
const stop = z.strictObject({ ...worded, on: onResponse, ...effect('stop') }).refine(...oneWording);

function windowName(window: { readonly requests?: number | undefined; readonly per: string }): string {
  return `${window.requests === undefined ? 'tokens' : 'requests'}/${durationMs(window.per)}`;
}

export const effects = ['allow', 'deny', 'requireApproval', 'limit', 'mask', 'stop'] as const;

/** One rule as written. */
export const ruleDocument = z.discriminatedUnion('then', [allow, deny, requireApproval, limit, mask, stop], {
  error: (issue) =>
    issue.code === 'invalid_union' ? `"then" must be one of: ${effects.join(', ')}` : 'must be a map: name, then, …',
});

/** Keys that a rule may have, by its effect. */
export const ruleKeys = {
  allow: Object.keys(allow.shape),
  deny: Object.keys(deny.shape),
  requireApproval: Object.keys(requireApproval.shape),
  limit: Object.keys(limit.shape),
  mask: Object.keys(mask.shape),
  stop: Object.keys(stop.shape),
} satisfies Record<Effect, readonly string[]>;

const variable = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/, 'must be a CEL identifier: letters, digits and "_", a letter first')
    .refine((text) => !(text in Object.prototype), 'is reserved'),
  expression,
});

export const maxRules = 1000;

const head = {
  apiVersion: z.literal('sallyport/v1', 'must be "sallyport/v1"'),
  kind: z.literal('Policy', 'must be "Policy"'),
  metadata: z.strictObject({ name, team: z.string().min(1).optional(), labels: labels.optional() }),
};
const specHead = {
  mode: mode.optional(),
  models: models.optional(),
  variables: z.array(variable).max(100).default([]),
};

/** A policy whose rules have not been looked at: they are read one by one, so that a large file holds nobody up. */
export const policyHead = z.strictObject({
  ...head,
  spec: z.strictObject({
    ...specHead,
    rules: z
      .array(z.unknown(), 'must be a list of rules')
      .min(1, 'must have a rule')
      .max(maxRules, `has more than ${maxRules} rules: make several policies of it`),
  }),
});

/** One policy document (`apiVersion: sallyport/v1`, `kind: Policy`), for `sallyport schema`. */
export const policyDocument = z.strictObject({
  ...head,
  spec: z.strictObject({ ...specHead, rules: z.array(ruleDocument).min(1).max(maxRules) }),
});

export type PolicyDocument = z.output<typeof policyDocument>;
export type RuleDocument = z.output<typeof ruleDocument>;
export type OperatorDocument = z.output<typeof operator>;
