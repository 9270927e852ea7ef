import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const identity = `identity:
  providers:
    - {name: main, issuer: https://id.example, audience: sallyport, algorithms: [RS256]}
`;

function load(text: string | Buffer, env: NodeJS.ProcessEnv = {}) {
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(file, text);
  return loadConfig(file, env);
}

function problems(text: string | Buffer) {
  const loaded = load(text);
  return loaded.ok
    ? []
    : loaded.problems.map(({ path, line, column, message }) => `${line}:${column} ${path}: ${message}`);
}

describe('a configuration that holds', () => {
  it('needs no more than an identity provider', () => {
    expect(load(identity)).toMatchObject({
      ok: true,
      config: {
        stateDir: join(folder, '.sallyport'),
        publicUrl: 'http://127.0.0.1:9190',
        maxRequestBytes: 4_194_304,
        drainTimeout: 600_000,
        log: { level: 'info' },
        listen: {
          grpc: { kind: 'unix', path: join(folder, '.sallyport', 'gate.sock') },
          public: { kind: 'tcp', host: '127.0.0.1', port: 9190 },
          internal: { kind: 'tcp', host: '127.0.0.1', port: 9191 },
          envoy: { kind: 'tcp', host: '127.0.0.1', port: 10_000 },
        },
        record: { journal: { dir: join(folder, '.sallyport', 'journal') } },
      },
    });
  });

  it('takes the Envoy from the environment that it was given, and from nowhere else', () => {
    expect(load(identity, { ENVOY_BIN: '/opt/envoy' })).toMatchObject({ config: { envoyBin: '/opt/envoy' } });
    expect(load(identity, { ENVOY_BIN: '' })).toMatchObject({ config: { envoyBin: undefined } });
  });

  it('counts files from its own folder, and state from the state folder', () => {
    const tls =
      '  tls: {cert: tls/cert.pem, key: /abs/key.pem, clientCa: ca.pem, allowedClients: [spiffe://mesh/envoy]}';
    expect(load(`${identity}stateDir: state\nlisten:\n  grpc: 0.0.0.0:9000\n${tls}\n`)).toMatchObject({
      config: {
        stateDir: join(folder, 'state'),
        listen: {
          grpc: { kind: 'tcp', host: '0.0.0.0', port: 9000 },
          tls: { cert: join(folder, 'tls', 'cert.pem'), key: '/abs/key.pem', clientCa: join(folder, 'ca.pem') },
        },
        record: { journal: { dir: join(folder, 'state', 'journal') } },
      },
    });
  });

  it.each([
    ['state: {}', { engine: 'sqlite', file: join(folder, '.sallyport', 'control.db') }],
    ['state: {file: /var/control.db}', { engine: 'sqlite', file: '/var/control.db' }],
    [
      'state: {engine: redis, url: "rediss://redis", passwordFile: secrets/redis, caFile: ca.pem}',
      { engine: 'redis', passwordFile: join(folder, 'secrets', 'redis'), caFile: join(folder, 'ca.pem') },
    ],
  ])('knows where the files of the control state are: %s', (text, state) => {
    expect(load(`${identity}${text}\n`)).toMatchObject({ ok: true, config: { state } });
  });

  it('knows where the masking keys are', () => {
    const masking = 'masking: {key: {file: keys/now}, previousKey: {env: OLD_KEY}}';
    const key = { file: join(folder, 'keys', 'now') };
    expect(load(`${identity}${masking}\n`)).toMatchObject({
      config: { masking: { key, previousKey: { env: 'OLD_KEY' } } },
    });
    expect(problems(`${identity}masking: {previousKey: {env: OLD_KEY}}\n`)).toEqual([
      expect.stringContaining('masking.previousKey: needs masking.key'),
    ]);
    expect(problems(`${identity}masking: {key: {env: A, file: b}}\n`)).toEqual([
      expect.stringContaining('masking.key: must have exactly one of file and env'),
    ]);
  });

  it('cannot be changed afterwards, at any depth', () => {
    const loaded = load(identity);
    if (!loaded.ok) throw new Error('should load');
    const [provider] = loaded.config.identity.providers;
    expect(() => Object.assign(loaded.config, { stateDir: '/' })).toThrow(TypeError);
    expect(() => Object.assign(loaded.config.listen.grpc, { path: '/' })).toThrow(TypeError);
    expect(() => Object.assign(provider ?? {}, { issuer: 'https://evil.example' })).toThrow(TypeError);
  });

  it.each(['127.0.0.1:9000', '127.8.8.8:1', '[::1]:9000', 'localhost:9000', 'unix:/run/gate.sock'])(
    'may listen for gRPC without TLS on %s',
    (grpc) => expect(load(`${identity}listen: {grpc: "${grpc}"}\n`).ok).toBe(true),
  );

  it.each([
    ['500ms', undefined],
    ['1s', 1_000],
    ['90m', 5_400_000],
    ['24h', 86_400_000],
    ['25h', undefined],
    ['10', undefined],
    ['-1s', undefined],
    ['1.5m', undefined],
    ['1e3s', undefined],
  ])('reads a drain timeout of %s as %s ms', (text, ms) => {
    const loaded = load(`${identity}drainTimeout: "${text}"\n`);
    expect(loaded.ok ? loaded.config.drainTimeout : undefined).toBe(ms);
  });
});

describe('every problem is named with its path, line and column', () => {
  const cases: readonly [string, string, readonly string[]][] = [
    ['an empty file', '', ['1:1 identity: is missing']],
    [
      'a provider without audience and algorithms',
      'identity:\n  providers:\n    - name: a\n      issuer: https://id.example\n',
      [
        '3:7 identity.providers[0].audience: is missing',
        '3:7 identity.providers[0].algorithms: is missing (the preset has none)',
      ],
    ],
    [
      'a misspelt key, with the one that was meant',
      `${identity}listen:\n  publik: 127.0.0.1:1\nlog: {level: info, leve: info}\n`,
      ['5:3 listen.publik: unknown key; did you mean public?', '6:20 log.leve: unknown key; did you mean level?'],
    ],
    [
      'a key that is written as one with its section',
      'identity:\n  providers:\n    - {name: a, issuer: "https://id.example", audience: a, algorithms: [ES256], groups_required: false, groupsRequired: false}\n',
      [
        '3:81 identity.providers[0].groups_required: unknown key; did you mean groups.required?',
        '3:105 identity.providers[0].groupsRequired: unknown key; did you mean groups.required?',
      ],
    ],
    ['a key of prototypes', `${identity}__proto__: {stateDir: /tmp}\n`, ['4:1 __proto__: unknown key']],
    ['a wrong type', `${identity}stateDir: 5\n`, ['4:11 stateDir: invalid input: expected string, received number']],
    [
      'several at once, in order',
      `${identity}maxRequestBytes: 1\nlisten: {public: nowhere}\n`,
      [
        '4:18 maxRequestBytes: too small: expected number to be >=1024',
        '5:18 listen.public: must be host:port, such as 127.0.0.1:9190',
      ],
    ],
    [
      'gRPC on a network in the clear',
      `${identity}listen:\n  grpc: 0.0.0.0:9000\n`,
      ['5:9 listen.grpc: is reachable from a network: needs listen.tls (or listen.plaintext: mesh behind a sidecar)'],
    ],
    [
      'mTLS that allows nobody in particular',
      `${identity}listen:\n  grpc: 0.0.0.0:9000\n  tls: {cert: a, key: b, clientCa: c, allowedClients: []}\n`,
      ['6:39 listen.tls.allowedClients: too small: expected array to have >=1 items'],
    ],
    [
      'shared counters of limits without shared state',
      `${identity}limits: {store: redis}\n`,
      ['4:17 limits.store: needs state.engine: redis'],
    ],
    [
      'a port beyond the last',
      `${identity}listen: {public: "127.0.0.1:65536"}\n`,
      ['4:18 listen.public: must be host:port, such as 127.0.0.1:9190'],
    ],
    ['a key twice', `${identity}stateDir: a\nstateDir: b\n`, ['5:1 : this key is here twice']],
    [
      'an anchor and an alias',
      `${identity}stateDir: &a x\npublicUrl: *a\n`,
      ['4:14 : anchors (&name) are not allowed', '5:12 : aliases (*name) are not allowed'],
    ],
    ['a merge key', `${identity}log: {<<: {level: info}}\n`, ['4:7 log.<<: unknown key (known here: level)']],
    ['a tag', `${identity}stateDir: !!str x\n`, ['4:17 : tags (!name) are not allowed']],
    ['a tag of one’s own', `${identity}stateDir: !run x\n`, ['4:11 : unresolved tag: !run']],
    ['a key that is no string', `${identity}5: x\n`, ['4:1 : keys must be plain strings']],
    ['two documents', `${identity}---\na: b\n`, ['4:1 : a second document begins here; one is read']],
    ['a list', '- a\n', ['1:1 : invalid input: expected object, received array']],
    ['what is not YAML', 'a: b: c\n', ['1:4 : nested mappings are not allowed in compact mappings']],
  ];
  it.each(cases)('%s', (_, text, expected) => {
    const found = problems(text);
    expect(found.map((line) => expected.find((start) => line.startsWith(start)) ?? line)).toEqual(expected);
  });

  it('a file that is not there', () => {
    expect(loadConfig(join(folder, 'none.yaml'), {})).toEqual({
      ok: false,
      problems: [{ path: '', line: 1, column: 1, message: 'there is no such file' }],
    });
  });

  it('a folder', () =>
    expect(loadConfig(folder, {})).toMatchObject({ problems: [{ message: 'cannot be read (EISDIR)' }] }));

  it('bytes that are not UTF-8', () =>
    expect(problems(Buffer.from([0x61, 0x3a, 0x20, 0xff]))).toEqual(['1:1 : is not UTF-8']));

  it('more than 1 MiB', () =>
    expect(problems(`a: "${'x'.repeat(1_100_000)}"`)).toEqual(['1:1 : is larger than 1 MiB']));

  it('nesting without end, in bounded time and bounded output', () => {
    const found = problems('['.repeat(200_000));
    expect(found[0]).toMatch(/nested too deeply|cannot be read as YAML/);
    expect(found.length).toBeLessThanOrEqual(50);
  });
});
