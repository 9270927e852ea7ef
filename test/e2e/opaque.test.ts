/** What no format reads, through the gateway: denied unless the model entry admits it and a rule allows it. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Stack, startStack } from './support/stack.ts';

const CARD = '4111 1111 1111 1111';
const SOUND = Buffer.from([0, 1, 2, 3, 0xff, 0xfe, 0x80]);
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const POLICY = `apiVersion: sallyport/v1
kind: Policy
metadata: {name: opaque}
spec:
  rules:
    - {name: chat, when: 'request.format == "openai-chat"', then: allow}
    - {name: files, when: 'request.format == "opaque" && http.path.startsWith("/v1/audio")', then: allow}
    - {name: no-cards, when: '"credit_card" in request.findings', then: deny, message: Remove the card number.}
    - {name: mask, when: '!("pii-cleared" in caller.groups)', then: mask, detect: [all]}
`;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    models: [{ name: 'audio', formats: ['opaque'], match: { paths: ['/v1/audio', '/v1/files'] } }],
    policies: { 'opaque.yaml': POLICY },
  });
});
afterAll(() => stack.close());

interface About {
  readonly who?: 'jane' | 'sam';
  readonly method?: string;
  readonly type?: string;
  readonly body?: BodyInit;
}

async function ask(path: string, { who = 'jane', method = 'POST', type, body }: About = {}) {
  const headers = { authorization: `Bearer ${await stack.token(who)}`, ...(type && { 'content-type': type }) };
  const answer = await fetch(`${stack.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { status: answer.status, headers: answer.headers, bytes, session: answer.headers.get('x-sallyport-session') };
}

const answers = (type: string | undefined, body: Buffer | string, status = 200) => {
  stack.model.answer = (_request, response) =>
    void response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(body);
};

/** Texts of a session on the record. */
const kept = async (session: string | null, direction: string) =>
  (await stack.journal()).flatMap((line) =>
    line.kind === 'content' && line.session === session && line.direction === direction ? [line.text] : [],
  );

const ended = (session: string | null) =>
  eventually(async () => {
    const lines = await stack.journal();
    return lines.find((line) => line.kind === 'event' && line.event.type === 'end' && line.event.session === session);
  }, 'the end of the session');

const upload = (field: string): FormData => {
  const form = new FormData();
  form.append('prompt', field);
  form.append('file', new Blob([SOUND], { type: 'audio/wav' }), 'note.wav');
  return form;
};

describe('an opaque request', () => {
  test('reaches the model byte for byte; the record keeps its text, masked, its length and its digest', async () => {
    answers('application/json', '{"text":"hello"}');
    const got = await ask('/v1/audio/transcriptions', { body: upload('write to jane.doe@example.com') });
    expect(got.status, got.bytes.toString()).toBe(200);
    const arrived = stack.model.arrived.at(-1)!;
    expect(arrived.body.includes(SOUND)).toBe(true);
    expect(arrived.headers).toMatchObject({
      authorization: 'Bearer model-secret',
      'content-type': expect.stringMatching(/^multipart\/form-data; boundary=/),
    });
    const [text = '', ...more] = await kept(got.session, 'request');
    expect(more).toEqual([]);
    const { opaque } = JSON.parse(text);
    expect(opaque).toMatchObject({ bytes: arrived.body.length, sha256: sha256(arrived.body) });
    expect(opaque.text).toMatch(/^prompt\nwrite to .*\nfile\nnote.wav$/);
    expect(opaque.text).not.toContain('jane.doe');
    const event = (await stack.journal()).find(
      (line) => line.kind === 'event' && line.event.type === 'request' && line.event.session === got.session,
    );
    expect(event).toMatchObject({ event: { format: 'opaque', operation: 'opaque', model: 'audio', files: 1 } });
  });

  test.each<[string, string, About]>([
    ['a field of a form', '/v1/audio/transcriptions', { body: upload(`charge ${CARD}`) }],
    ['JSON, escaped', '/v1/audio/speech', { type: 'application/json', body: '{"input":"\\u0034111 1111 1111 1111"}' }],
    ['the query', `/v1/audio/search?q=${encodeURIComponent(CARD)}`, { method: 'GET' }],
    ['an encoded form', '/v1/audio/x', { type: 'application/x-www-form-urlencoded', body: 'a=4111+1111%201111+1111' }],
  ])('is denied for what is found in %s', async (_what, path, about) => {
    const before = stack.model.arrived.length;
    const got = await ask(path, about);
    expect(got.status).toBe(403);
    expect(got.bytes.toString()).toContain('Remove the card number.');
    expect(stack.model.arrived.length).toBe(before);
  });

  test.each<[string, string, About, number, string]>([
    ['no entry admits', '/v1/images', { body: SOUND }, 403, 'path_not_admitted'],
    ['no rule allows', '/v1/files', { body: SOUND }, 403, 'no_rule_allows'],
    [
      'is the path of a format',
      '/v1/chat/completions',
      { body: SOUND, type: 'audio/wav' },
      415,
      'unsupported_media_type',
    ],
    ['is malformed', '/v1/audio/x', { body: 'x', type: 'multipart/form-data; boundary=x' }, 400, 'invalid_request'],
    ['is JSON that is not', '/v1/audio/x', { body: '{"a":1,"a":2}', type: 'application/json' }, 400, 'invalid_json'],
  ])('that %s is refused', async (_what, path, about, status, code) => {
    const before = stack.model.arrived.length;
    const got = await ask(path, about);
    expect([got.status, JSON.parse(got.bytes.toString()).error.code]).toEqual([status, code]);
    expect(stack.model.arrived.length).toBe(before);
  });
});

describe('the answer of an opaque call', () => {
  test('that cannot be masked passes where nothing is masked; the record keeps its length and digest', async () => {
    answers('audio/mpeg', SOUND);
    const got = await ask('/v1/audio/speech', { type: 'application/json', body: '{"input":"hi"}' });
    expect(got.status).toBe(200);
    expect(got.headers.get('content-type')).toBe('audio/mpeg');
    expect(got.bytes).toEqual(SOUND);
    await ended(got.session);
    expect((await kept(got.session, 'response')).map((text) => JSON.parse(text))).toEqual([
      { opaque: { bytes: SOUND.length, sha256: sha256(SOUND) } },
    ]);
  });

  test.each<[string, About & { path?: string }, string | undefined, number]>([
    ['something is masked', { who: 'sam' }, 'audio/mpeg', 200],
    ['it has no type', {}, undefined, 200],
    ['it is a part', {}, 'audio/mpeg', 206],
  ])('that cannot be masked is refused where %s', async (_what, about, type, status) => {
    answers(type, SOUND, status);
    const got = await ask('/v1/audio/speech', { type: 'application/json', body: '{"input":"hi"}', ...about });
    expect([got.status, JSON.parse(got.bytes.toString()).error.code]).toEqual([502, 'response_type_refused']);
  });

  test('of a model API is refused as before, whatever the entry admits elsewhere', async () => {
    answers('audio/mpeg', SOUND);
    const body = '{"model":"demo","messages":[{"role":"user","content":"hi"}]}';
    const got = await ask('/v1/chat/completions', { type: 'application/json', body });
    expect([got.status, JSON.parse(got.bytes.toString()).error.code]).toEqual([502, 'response_type_refused']);
  });

  test.each([
    ['JSON', 'application/json', `{"any":{"text":["${CARD}"]}}`],
    ['text', 'text/plain', `it was ${CARD}.`],
    ['NDJSON', 'application/x-ndjson', `{"a":"${CARD}"}\n{"a":"x"}\n`],
    ['an event stream', 'text/event-stream', `data: {"x":"4111 1111"}\n\ndata: {"x":" 1111 1111"}\n\ndata: [DONE]\n\n`],
  ])('in %s is masked for who is not cleared, and passes for who is', async (_what, type, body) => {
    answers(type, body);
    const about = { type: 'application/json', body: '{"input":"hi"}' };
    const masked = await ask('/v1/audio/speech', { ...about, who: 'sam' });
    expect(masked.status).toBe(200);
    expect(masked.bytes.toString().replaceAll('"}\n\ndata: {"x":"', '')).not.toContain(CARD);
    expect((await ask('/v1/audio/speech', about)).bytes.toString()).toBe(body);
  });
});
