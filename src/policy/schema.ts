import { z } from 'zod';

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be lower case letters, digits, ".", "-" and "_", 63 at most');
const expression = z.string('must be a CEL expression (text)').min(1, 'must not be empty');
const mode = z.enum(['enforce', 'dryRun'], 'must be "enforce" or "dryRun"').default('enforce');
const onRequest = z.literal('request', 'must be "request": allow and deny decide about requests').default('request');
const onResponse = z.literal('response', 'must be "response": mask works on responses').default('response');

const allow = z.strictObject({
  name,
  on: onRequest,
  mode,
  when: expression.optional(),
  // biome-ignore lint/suspicious/noThenProperty: the policy format calls it so; a schema is never awaited
  then: z.literal('allow'),
});

const deny = z
  .strictObject({
    name,
    on: onRequest,
    mode,
    when: expression.optional(),
    // biome-ignore lint/suspicious/noThenProperty: the policy format calls it so; a schema is never awaited
    then: z.literal('deny'),
    message: z.string().min(1).max(1000).optional(),
    messageExpression: expression.optional(),
  })
  .refine((rule) => rule.message === undefined || rule.messageExpression === undefined, {
    path: ['messageExpression'],
    message: 'message and messageExpression exclude each other',
  });

const mask = z.strictObject({
  name,
  on: onResponse,
  mode,
  when: expression.optional(),
  // biome-ignore lint/suspicious/noThenProperty: the policy format calls it so; a schema is never awaited
  then: z.literal('mask'),
  detect: z.array(z.string().min(1)).min(1, 'must name a detector or a category'),
});

const rule = z.discriminatedUnion('then', [allow, deny, mask], {
  error: (issue) => (issue.code === 'invalid_union' ? '"then" must be one of: allow, deny, mask' : undefined),
});

const variable = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/, 'must be a CEL identifier: letters, digits and "_", a letter first')
    .refine((text) => !(text in Object.prototype), 'is reserved'),
  expression,
});

/** One policy document (`apiVersion: sallyport/v1`, `kind: Policy`). */
export const policyDocument = z.strictObject({
  apiVersion: z.literal('sallyport/v1', 'must be "sallyport/v1"'),
  kind: z.literal('Policy', 'must be "Policy"'),
  metadata: z.strictObject({ name, team: z.string().min(1).optional() }),
  spec: z.strictObject({
    models: z.array(z.string().min(1).max(200)).min(1, 'must name a model; leave it out for all').optional(),
    variables: z.array(variable).max(100).default([]),
    rules: z.array(rule).min(1, 'must have a rule').max(1000),
  }),
});

export type PolicyDocument = z.output<typeof policyDocument>;
export type RuleDocument = PolicyDocument['spec']['rules'][number];
