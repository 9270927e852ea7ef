import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { FormatId } from '../../../src/exchange/facts.ts';
import { loadModels, parseModels } from '../../../src/models/load.ts';
import type { Model } from '../../../src/models/model.ts';

const entry = (more = '', name = 'demo') =>
  `  - name: ${name}\n    version: "1"\n    upstream: http://127.0.0.1:18080\n    formats: [openai-chat]\n${more}`;
const file = (...entries: string[]) => `models:\n${entries.join('')}`;
const noSecret = () => Promise.reject(new Error('no secret was expected'));

async function modelsOf(text: string, secret = noSecret as () => Promise<string>): Promise<readonly Model[]> {
  const loaded = await parseModels(text, secret);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.models;
}

async function problemsOf(text: string, secret = noSecret as () => Promise<string>): Promise<string[]> {
  const loaded = await parseModels(text, secret);
  return loaded.ok ? [] : loaded.problems.map((p) => `${p.line}:${p.column} ${p.path}: ${p.message}`);
}

test('an entry becomes a model with defaults', async () => {
  expect(await modelsOf(file(entry()))).toEqual([
    {
      name: 'demo',
      version: '1',
      upstream: { host: '127.0.0.1', port: 18_080, tls: false },
      formats: ['openai-chat'],
      match: { names: ['demo'], hosts: [], paths: [] },
      credential: undefined,
      identity: undefined,
      labels: {},
      team: undefined,
      cluster: 'model_demo_1',
    },
  ]);
});

test('an entry speaks any format that there is, and no other', async () => {
  const every: Record<FormatId, true> = {
    'openai-chat': true,
    'openai-completions': true,
    'openai-responses': true,
    'openai-embeddings': true,
    'anthropic-messages': true,
    gemini: true,
    'ollama-chat': true,
    'ollama-generate': true,
    tgi: true,
    'bedrock-converse': true,
    mcp: true,
    opaque: true,
  };
  const ids = Object.keys(every);
  const text = (formats: string) => file(entry('    match: {paths: [/x]}\n').replace('[openai-chat]', formats));
  expect((await modelsOf(text(`[${ids.join()}]`)))[0]?.formats).toEqual(ids);
  expect((await problemsOf(text('[openai]'))).join()).toMatch(/Invalid option/);
  expect((await problemsOf(text('[]'))).join()).toMatch(/formats/);
});

describe('formats whose requests name no model', () => {
  const place = (name: string, format: string, match: string, more = '') =>
    entry(`    match: ${match}\n${more}`, name).replace('openai-chat', format);
  test.each([
    ['mcp', '{}', '3:5 models[0].match: paths are required for the format mcp: it has none of its own'],
    ['opaque', '{hosts: [a.test]}', '6:12 models[0].match: paths are required for the format opaque'],
  ])('%s without paths is refused', async (format, match, problem) => {
    expect((await problemsOf(file(place('a', format, match))))[0]).toContain(problem.replace(/^\S+ /, ''));
  });
  test.each([
    ['mcp', '{paths: [/mcp]}', '{paths: [/mcp/two]}'],
    ['opaque', '{paths: [/raw], hosts: [a.test]}', '{paths: [/]}'],
    ['tgi', '{}', '{hosts: [a.test]}'],
  ])('two entries of %s that one request could mean are refused: %s and %s', async (format, one, two) => {
    const problems = await problemsOf(file(place('a', format, one), place('b', format, two)));
    expect(problems.join()).toContain(`a request of the format ${format} could also mean "a"`);
  });
  test.each([
    ['by path', 'mcp', '{paths: [/a]}', '{paths: [/b]}', ''],
    ['by host', 'tgi', '{hosts: [a.test]}', '{hosts: [b.test]}', ''],
    ["by a mesh's route", 'tgi', '{}', '{}', '    cluster: outbound\n'],
  ])('two entries that are told apart %s are two', async (_how, format, one, two, more) => {
    expect(await modelsOf(file(place('a', format, one, more), place('b', format, two, more)))).toHaveLength(2);
  });
});

test('an entry may ask to be told who calls, in a header of its own', async () => {
  const [model] = await modelsOf(file(entry('    identity: {audience: https://llama.example}\n')));
  expect(model?.identity).toEqual({ header: 'x-sallyport-identity', audience: 'https://llama.example' });
  const [other] = await modelsOf(file(entry('    identity: {header: X-Corp-User, audience: a}\n')));
  expect(other?.identity).toEqual({ header: 'x-corp-user', audience: 'a' });
});

test.each([
  ['{}', /audience/],
  ['{audience: ""}', /audience/],
  ['{audience: a, header: x-sallyport-session}', /must not be a header that frames or routes/],
  ['{audience: a, header: Host}', /must not be a header that frames or routes/],
  ['{audience: a, header: "x y"}', /must be a header name/],
  ['{audience: a, algorithm: none}', /is not known/],
])('an entry that asks for it wrongly is refused: identity: %s', async (identity, message) => {
  expect((await problemsOf(file(entry(`    identity: ${identity}\n`)))).join()).toMatch(message);
});

test("who calls does not go into the header of the model's own credential", async () => {
  const text = file(entry('    credential: {header: x-key, env: KEY}\n    identity: {audience: a, header: X-Key}\n'));
  expect((await problemsOf(text, async () => 's')).join()).toMatch(/is the header of the model's own credential/);
});

test('an entry says what it says', async () => {
  const [model] = await modelsOf(
    file(
      entry(
        '    match: {names: [gpt-demo, "meta/llama:70b"], hosts: [API.example.com], paths: [/v1]}\n    labels: {risk: high}\n    team: ml-platform\n',
        'org/llama:3@a',
      ),
    ),
  );
  expect(model).toMatchObject({
    match: { names: ['org/llama:3@a', 'gpt-demo', 'meta/llama:70b'], hosts: ['api.example.com'], paths: ['/v1'] },
    labels: { risk: 'high' },
    team: 'ml-platform',
    cluster: 'model_org_llama_3_a_1',
  });
});

test.each([
  ['https://models.internal', { host: 'models.internal', port: 443, tls: true }],
  ['http://models.internal/', { host: 'models.internal', port: 80, tls: false }],
  ['https://[2001:db8::1]:8443', { host: '2001:db8::1', port: 8443, tls: true }],
])('upstream %s is understood', async (upstream, expected) => {
  expect((await modelsOf(file(entry().replace('http://127.0.0.1:18080', upstream))))[0]?.upstream).toEqual(expected);
});

describe('a complaint', () => {
  test.each<[string, string, string]>([
    ['an empty file', '', '1:1 : '],
    ['no models', 'models: []', '1:9 models: must have a model'],
    ['broken YAML', 'models: [', '1:10 : '],
    ['a key twice', file(entry('    version: "2"\n')), '6:5 : Map keys must be unique'],
    ['an unknown key', file(entry('    verison: "2"\n')), '6:14 models[0].verison: is not known'],
    ['no version', file(entry().replace(/ +version.*\n/, '')), '2:5 models[0].version: '],
    [
      'a version that is a number',
      file(entry().replace('"1"', '1.0')),
      '3:14 models[0].version: must be text: quote it',
    ],
    [
      'a path in upstream',
      file(entry().replace(':18080', ':18080/v1')),
      '4:15 models[0].upstream: must be http://host:port',
    ],
    [
      'a user in upstream',
      file(entry().replace('127', 'u:p@127')),
      '4:15 models[0].upstream: must be http://host:port',
    ],
    ['another protocol', file(entry().replace('http:', 'ftp:')), '4:15 models[0].upstream: must be http://host:port'],
    ['an unknown format', file(entry().replace('openai-chat', 'openai-chatt')), '5:15 models[0].formats[0]: '],
    [
      'a host with a port',
      file(entry('    match: {hosts: ["a:80"]}\n')),
      '6:21 models[0].match.hosts[0]: must be a host name without port',
    ],
    [
      'a path that climbs',
      file(entry('    match: {paths: [/v1/../x]}\n')),
      'models[0].match.paths[0]: must not contain',
    ],
    [
      'an encoded path',
      file(entry('    match: {paths: [/v1%2f]}\n')),
      'models[0].match.paths[0]: must begin with / and be a plain path',
    ],
    [
      'a label that is a number',
      file(entry('    labels: {risk: 1}\n')),
      '6:20 models[0].labels.risk: must be text: quote it',
    ],
    ['a name with a line break', file(entry('', '"a\\nb"')), 'models[0].name: must be letters'],
    [
      'a credential from nowhere',
      file(entry('    credential: {header: x-api-key}\n')),
      '6:17 models[0].credential: must have either file or env',
    ],
    [
      'a credential from two places',
      file(entry('    credential: {file: a, env: B}\n')),
      'models[0].credential: must have either file or env',
    ],
    [
      'a credential in a routing header',
      file(entry('    credential: {file: a, header: X-Sallyport-Upstream}\n')),
      'must not be a header that frames or routes',
    ],
    [
      'a credential in Host',
      file(entry('    credential: {file: a, header: Host}\n')),
      'must not be a header that frames or routes',
    ],
    [
      'a prefix with a line break',
      file(entry('    credential: {file: a, prefix: "x\\r\\n"}\n')),
      'must be printable ASCII',
    ],
  ])('about %s has its place', async (_what, text, expected) => {
    expect((await problemsOf(text))[0]).toContain(expected);
  });

  test.each<[string, string[], string]>([
    ['one name', [entry(), entry()], '6:11 models[1].name: there is a model "demo" already'],
    ['one cluster', [entry('', 'a/b'), entry('', 'a:b')], '"a:b" and "a/b" would share the Envoy cluster model_a_b_1'],
    [
      'one further name',
      [entry('    match: {names: [x]}\n'), entry('    match: {names: [x]}\n', 'b')],
      '11:12 models[1].match: "x" could also mean "demo"',
    ],
    ['the name of the other', [entry(), entry('    match: {names: [demo]}\n', 'b')], '"demo" could also mean "demo"'],
    [
      'overlapping paths',
      [entry('    match: {names: [x], paths: [/v1]}\n'), entry('    match: {names: [x], paths: [/v1/chat]}\n', 'b')],
      '"x" could also mean "demo"',
    ],
    [
      'one of several hosts',
      [
        entry('    match: {names: [x], hosts: [a.test, b.test]}\n'),
        entry('    match: {names: [x], hosts: [B.test]}\n', 'b'),
      ],
      '"x" could also mean "demo"',
    ],
  ])('is made about two entries with %s', async (_what, entries, expected) => {
    expect((await problemsOf(file(...entries)))[0]).toContain(expected);
  });

  test('is not made about one name on two hosts or paths', async () => {
    const on = (place: string, name: string) => entry(`    match: {names: [x], ${place}}\n`, name);
    expect(await problemsOf(file(on('hosts: [a.test]', 'a'), on('hosts: [b.test]', 'b')))).toEqual([]);
    expect(await problemsOf(file(on('paths: [/a]', 'a'), on('paths: [/ab]', 'b')))).toEqual([]);
  });
});

describe('the credential of a model', () => {
  const secret = 'sk-very-secret';
  const withCredential = file(entry('    credential: {file: ./key, header: X-Api-Key, prefix: ""}\n'));

  test('is read, with its prefix', async () => {
    const bearer = file(entry('    credential: {env: MODEL_KEY}\n'));
    const [model] = await modelsOf(bearer, () => Promise.resolve(`${secret}\n`));
    expect(model?.credential?.header).toBe('authorization');
    expect(model?.credential?.value).toBe(`Bearer ${secret}`);
    expect((await modelsOf(withCredential, () => Promise.resolve(secret)))[0]?.credential).toMatchObject({
      header: 'x-api-key',
      value: secret,
    });
  });

  test('is in no JSON, no log line, and no copy of the model', async () => {
    const [model] = await modelsOf(withCredential, () => Promise.resolve(secret));
    const texts = [
      JSON.stringify(model),
      inspect(model, { depth: 9 }),
      JSON.stringify(structuredClone(model)),
      JSON.stringify({ ...model?.credential }),
      String(model),
    ];
    for (const text of texts) expect(text).not.toContain(secret);
  });

  test.each<[string, () => Promise<string>, string]>([
    [
      'is not there',
      () => Promise.reject(Object.assign(new Error(`open ${secret}`), { code: 'ENOENT' })),
      'cannot be read: file ./key (ENOENT)',
    ],
    ['is empty', () => Promise.resolve('\n'), 'must be one line of printable ASCII'],
    ['has a line break in it', () => Promise.resolve(`${secret}\nx: y`), 'must be one line of printable ASCII'],
    ['is not ASCII', () => Promise.resolve(`${secret}é`), 'must be one line of printable ASCII'],
    ['is too long', () => Promise.resolve(secret.repeat(1000)), '8192 characters at most'],
  ])('that %s is a complaint that names file and line, and never the secret', async (_what, read, expected) => {
    const problems = await problemsOf(withCredential, read);
    expect(problems[0]).toMatch(/^6:17 models\[0\]\.credential: /);
    expect(problems[0]).toContain(expected);
    expect(problems.join()).not.toContain(secret);
  });
});

test('a registry on disk reads credentials beside it and from the environment', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'models-'));
  try {
    const path = join(dir, 'models.yaml');
    await writeFile(join(dir, 'key'), 'from-file\n');
    await writeFile(path, file(entry('    credential: {file: key}\n'), entry('    credential: {env: KEY_B}\n', 'b')));
    const loaded = await loadModels(path, { KEY_B: 'from-env' });
    if (!loaded.ok) return expect(loaded.problems).toEqual([]);
    expect(loaded.models.map((m) => m.credential?.value)).toEqual(['Bearer from-file', 'Bearer from-env']);
    const without = await loadModels(path, {});
    expect(without).toMatchObject({
      ok: false,
      problems: [{ line: 11, message: 'the credential cannot be read: environment variable KEY_B (not set)' }],
    });
    expect(await loadModels(join(dir, 'nothing.yaml'), {})).toMatchObject({
      ok: false,
      problems: [{ message: expect.stringContaining('ENOENT') }],
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});
