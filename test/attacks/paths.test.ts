/** Paths that the gate and a model's server could read in two ways, where an entry admits what no format reads. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stack, startStack } from '../e2e/support/stack.ts';
import { type Attempts, attempts, EVERY_REFUSAL, type Refusal } from './support/attempts.ts';
import { rawRequest, sendRaw } from './support/raw.ts';

const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: paths}
spec:
  rules:
    - {name: all, then: allow}
    - {name: no-sql, when: 'request.tools.exists(t, t.name == "run_sql")', then: deny}
    - {name: not-this-model, when: 'model.name.endsWith("/forbidden")', then: deny}
`;
const CHAT = JSON.stringify({
  model: 'demo',
  messages: [{ role: 'user', content: 'hi' }],
  tools: [{ type: 'function', function: { name: 'run_sql', parameters: {} } }],
});
const notAdmitted: Refusal = { status: 403, code: 'path_not_admitted' };
const byEnvoy: Refusal = { status: 400, detail: 'path_normalization_failed' };

async function start(slashes: 'REJECT_REQUEST' | 'KEEP_UNCHANGED', model: object, models: readonly object[]) {
  const stack = await startStack({
    config: EVERY_REFUSAL,
    policies: { 'paths.yaml': POLICY },
    envoy: ({ static_resources: { listeners } }) =>
      Object.assign(listeners[0]!.filter_chains[0]!.filters[0]!.typed_config, {
        delayed_close_timeout: '0.05s',
        path_with_escaped_slashes_action: slashes,
      }),
    model,
    models,
  });
  return { stack, attempt: attempts(stack), token: await stack.token('sam') };
}

describe('where one entry speaks an API and admits what is opaque', () => {
  let stack: Stack;
  let attempt: Attempts;
  let token: string;
  beforeAll(async () => {
    const formats = ['openai-chat', 'opaque'];
    ({ stack, attempt, token } = await start('REJECT_REQUEST', { formats, match: { paths: ['/v1', '/openai'] } }, []));
  });
  afterAll(() => stack.close());
  const call = (path: string, method = 'POST') => rawRequest(token, { path, method, body: CHAT });

  test('a tool is denied on the path of the API', async () => {
    const before = stack.model.arrived.length;
    const answer = await sendRaw(stack.port, call('/v1/chat/completions'));
    expect([answer.status, stack.model.arrived.length]).toEqual([403, before]);
  });

  test.each<[string, Refusal]>([
    ['/v1/chat/completions/', notAdmitted],
    ['/v1/chat/Completions', notAdmitted],
    ['/v1/chat/completions;x', notAdmitted],
    ['/v1/chat/completions%20', notAdmitted],
    ['/v1/chat/completions.', notAdmitted],
    ['/v1/chat/completion%2573', notAdmitted],
    ['/v1/chat%252fcompletions', notAdmitted],
    ['/v1/messages/', notAdmitted],
    ['/openai/v1/chat/completions', notAdmitted],
    ['/v1/x/%252e%252e/chat/completions', notAdmitted],
    ['/v1/files/%ff', notAdmitted],
    ['/v1/chat%2fcompletions', byEnvoy],
    ['/v1/chat/completions%00', byEnvoy],
    ['/v1/models/..%2fchat/completions', byEnvoy],
    ['/v1/models%2f../chat/completions', byEnvoy],
    ['/v1/models/..%5cchat', byEnvoy],
    ['/v1/../../x', notAdmitted],
  ])('%s is no way around its reader', async (path, refusal) => {
    await attempt.refused(refusal, call(path));
  });

  test.each(['GET', 'HEAD'])('%s on the path of the API is none either', async (method) => {
    await attempt.refused(notAdmitted, call('/v1/chat/completions', method));
  });

  test.each(['/v1/models/../chat/completions', '/v1/models/%2e%2e/chat/completions', '/v1//chat/completion%73'])(
    '%s is the path of the API by the time that it is read',
    async (path) => {
      const before = stack.model.arrived.length;
      const answer = await sendRaw(stack.port, call(path));
      expect([answer.status, stack.model.arrived.length]).toEqual([403, before]);
    },
  );

  test.each([
    ['/v1/files/x%20y;z', '/v1/files/x%20y;z'],
    ['/v1/models/../files', '/v1/files'],
  ])('what is opaque, %s, reaches the server as it was decided', async (path, at) => {
    expect((await attempt.passes(call(path))).url).toBe(at);
  });
});

describe('where Envoy lets encoded slashes through, the model of a Bedrock path', () => {
  const ARN = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile';
  const allowed = encodeURIComponent(`${ARN}/allowed`);
  let stack: Stack;
  let attempt: Attempts;
  let token: string;
  beforeAll(async () => {
    const entry = (name: string) => ({ name: `${ARN}/${name}`, formats: ['bedrock-converse'] });
    const other = { name: 'files', formats: ['opaque'], match: { paths: ['/files', '/model'] } };
    const models = [entry('allowed'), entry('forbidden'), other];
    ({ stack, attempt, token } = await start('KEEP_UNCHANGED', {}, models));
  });
  afterAll(() => stack.close());
  const call = (path: string) => rawRequest(token, { path, body: '{"messages":[{"role":"user","content":[]}]}' });

  test('is that of the entry, and reaches the server as it was written', async () => {
    const path = `/model/${allowed}/converse`;
    expect((await attempt.passes(call(path))).url).toBe(path);
  });
  test.each([`${ARN}/forbidden`, `${ARN}/%66orbidden`].map((arn) => encodeURIComponent(arn).replace('%2566', '%66')))(
    '%s, which a rule denies, is denied however it is encoded',
    async (arn) => {
      const before = stack.model.arrived.length;
      const answer = await sendRaw(stack.port, call(`/model/${arn}/converse`));
      expect([answer.status, stack.model.arrived.length]).toEqual([403, before]);
    },
  );
  test.each([
    `/model/${allowed}%2F..%2Fforbidden/converse`,
    `/model/${allowed}%2F%2E%2E%2Fforbidden/converse`,
    `/model/${allowed}%2F..%2F..%2F..%2Ffiles/converse`,
    `/model/${allowed}%252F..%252Fforbidden/converse`,
    `/model/${allowed.replace('%2F', '%252F')}/converse`,
    `/model/${allowed.replace('%2F', '%5C')}/converse`,
    `/model/${allowed}%2F/converse`,
    `/model/${allowed}%2Fconverse%3F/converse`,
    `/model/${allowed}%00/converse`,
    `/model/${allowed}/converse/`,
    `/model/${allowed}/Converse`,
    `/model/${allowed};x/converse`,
    `/model/${allowed}%2Fconverse`,
    `/model%2F${allowed}/converse`,
    `/model/${ARN}/allowed/converse`,
    `/files%2F..%2Fmodel/${allowed}/converse`,
    '/files/..%2Fv1%2Fchat%2Fcompletions',
    '/files/..%5Cv1%5Cx',
  ])('is nothing else: %s', async (path) => {
    const before = stack.model.arrived.length;
    const answer = await sendRaw(stack.port, call(path));
    expect([400, 403]).toContain(answer.status);
    expect(stack.model.arrived.length).toBe(before);
  });
});
