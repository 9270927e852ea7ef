import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { identities } from '../../../src/commands/demo/people.ts';
import { type DemoServer, startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { writeRunning } from '../../../src/commands/demo/running.ts';
import { doctorCommand } from '../../../src/commands/doctor.ts';
import { envoyCommand } from '../../../src/commands/envoy.ts';
import { schemaCommand } from '../../../src/commands/schema.ts';
import { tokenCommand } from '../../../src/commands/token.ts';
import { configSchema } from '../../../src/config.ts';
import { project, run } from './run.ts';

const { folder, file, stateDir } = project();
afterAll(() => rmSync(folder, { recursive: true }));

const root = join(import.meta.dirname, '..', '..', '..');
const sallyport = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'src', 'main.ts'), ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { PATH: process.env['PATH'] },
  });

describe('the program', () => {
  it('has help with examples at every command', () => {
    const { stdout, status } = sallyport('--help');
    expect(status).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z-]+) /gm)]
      .map(([, name]) => name ?? '')
      .filter((name) => name !== 'help');
    expect(commands).toEqual(
      expect.arrayContaining([
        'up',
        'serve',
        'login',
        'token',
        'whoami',
        'logout',
        'proxy',
        'inspect-token',
        'sessions',
        'explain',
        'policy',
        'sql',
        'envoy',
        'doctor',
        'scan',
        'mask',
        'hash-values',
        'schema',
      ]),
    );
    const groups: Readonly<Record<string, readonly string[]>> = {
      sessions: ['list', 'show'],
      policy: ['check', 'test', 'eval', 'backtest', 'diff', 'push'],
      envoy: [],
    };
    const leaves = commands.flatMap((name) => groups[name]?.map((leaf) => [name, leaf]) ?? [[name]]);
    for (const leaf of leaves) {
      const help = sallyport(...leaf, '--help');
      expect([leaf, help.status, help.stdout.includes('Examples:')]).toEqual([leaf, 0, true]);
    }
  }, 180_000);

  it.each([
    ['no command', [], 2],
    ['an unknown command', ['bogus'], 2],
    ['an unknown option', ['sessions', 'list', '--frobnicate'], 2],
    ['a missing argument', ['sessions', 'show'], 2],
    ['a configuration that is not there', ['sessions', 'list', '--config', 'none.yaml'], 2],
    ['a gateway that is not running', ['sessions', 'list'], 3],
    ['its version', ['--version'], 0],
  ])('ends on %s as documented', (_, args, code) => {
    const { status, stderr, stdout } = sallyport(...args);
    expect(status).toBe(code);
    expect(stderr).not.toMatch(/^\s+at /m);
    if (code !== 0) expect(stdout).toBe('');
  });

  it('names every problem of a configuration with file, line, column and path', () => {
    writeFileSync(join(folder, 'bad.yaml'), 'stateDir: 1\nlog: {level: loud}\n');
    const { status, stderr } = sallyport('doctor', '--config', 'bad.yaml');
    expect(status).toBe(2);
    expect(stderr).toContain('The configuration has 3 problems:');
    expect(stderr).toContain('  bad.yaml:1:11 stateDir: invalid input: expected string, received number');
    expect(stderr).toContain('  bad.yaml:2:14 log.level: ');
    expect(stderr).toContain('  bad.yaml:1:1 identity: is missing');
  });

  it('finds the configuration by SALLYPORT_CONFIG too', async () => {
    const env = { SALLYPORT_CONFIG: join(folder, 'bad.yaml') };
    expect((await run([tokenCommand], ['token', '--as', 'sam'], { env })).stderr).toContain('bad.yaml:1:11');
  });

  it('is not upset when a reader closes the pipe', () => {
    const main = join(root, 'src', 'main.ts');
    expect(
      execFileSync('/bin/sh', ['-c', `"${process.execPath}" "${main}" schema 2>&1 | head -c 5`], { encoding: 'utf8' }),
    ).toBe('{\n  "');
  });

  it('may be executed as it is', () => {
    // As npx runs it: the project's own Node comes first.
    const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH']}` };
    const version = execFileSync(join(root, 'src', 'main.ts'), ['--version'], { encoding: 'utf8', env });
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('files that are wrong', () => {
  const { folder: below, file: config } = project();
  afterAll(() => rmSync(below, { recursive: true }));
  const inFolder = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'src', 'main.ts'), ...args], {
      encoding: 'utf8',
      cwd: below,
      env: { PATH: process.env['PATH'], ENVOY_BIN: process.execPath },
    });
  const models = (text: string) => writeFileSync(join(below, 'models.yaml'), text);
  const model = (more = '') =>
    `models:\n  - {name: m, version: "1", upstream: "http://127.0.0.1:9", formats: [openai-chat]${more}}\n`;

  it.each(['serve', 'up'])('end %s with 2, by file, line and column: models', (command) => {
    models(model(', colour: red'));
    const { status, stderr } = inFolder(command, '--config', config);
    expect(stderr).toMatch(/\n {2}models\.yaml:2:\d+ models\[0\]\.colour: is not known\n/);
    expect(status).toBe(2);
  });

  it('end serve with 2, by file, line and column: policies', () => {
    models(model());
    mkdirSync(join(below, 'policies'), { recursive: true });
    writeFileSync(join(below, 'policies', 'a.yaml'), 'kind: Wish\n');
    const { status, stderr } = inFolder('serve', '--config', config);
    expect(stderr).toMatch(/the policies are wrong:\n {2}policies\/a\.yaml:1:\d+: /);
    expect(status).toBe(2);
  });

  it('are named with their whole path from another folder, by every command', () => {
    models(model(', colour: red'));
    for (const command of ['serve', 'doctor']) {
      const { status, stderr } = sallyport(command, '--config', config);
      expect(stderr).toContain(`\n  ${join(below, 'models.yaml')}:2:`);
      expect(status).toBe(2);
    }
  });

  it('are said to be missing once, with their path', () => {
    rmSync(join(below, 'models.yaml'));
    const { status, stderr } = inFolder('serve', '--config', config);
    expect(stderr).toContain('\n  models.yaml:1:1 cannot be read (ENOENT)\n');
    expect(status).toBe(2);
  });
});

describe('token', () => {
  let provider: DemoServer | undefined;
  afterEach(async () => {
    await provider?.close();
    provider = undefined;
  });

  it.each(identities.map(({ id }) => id))('prints a token for %s and nothing else', async (id) => {
    provider = await startDemoProvider({ port: 0, stateDir });
    await writeRunning(stateDir, { issuer: provider.url });
    const { code, stdout, stderr } = await run([tokenCommand], ['token', '--as', id, '--config', file]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  it('says that the demo is not running when it has died', async () => {
    await writeRunning(stateDir, { issuer: 'http://127.0.0.1:9' });
    const { code, stdout, stderr } = await run([tokenCommand], ['token', '--as', 'sam', '--config', file]);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/demo.*is not running[\s\S]*npm start/);
  });

  it('says that the demo is not running when it never was', async () => {
    const other = project();
    const { code, stderr } = await run([tokenCommand], ['token', '--as', 'sam', '--config', other.file]);
    rmSync(other.folder, { recursive: true });
    expect(code).toBe(3);
    expect(stderr).toContain('npm start');
  });

  it('knows only the people of the demo', async () => {
    expect((await run([tokenCommand], ['token', '--as', 'root', '--config', file])).code).toBe(2);
  });
});

describe('schema', () => {
  it('prints the JSON Schema of the configuration: closed objects, what may be left out is not required', async () => {
    const { code, stdout } = await run([schemaCommand({ config: configSchema })], ['schema']);
    const schema = JSON.parse(stdout) as {
      additionalProperties: unknown;
      required: string[];
      properties: Record<string, { additionalProperties?: unknown }>;
    };
    expect(code).toBe(0);
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toEqual(['identity']);
    expect(schema.properties['listen']?.additionalProperties).toBe(false);
  });

  it('ends with 2 for a schema that there is not', async () => {
    expect((await run([schemaCommand({ config: configSchema })], ['schema', 'other'])).code).toBe(2);
  });
});

describe('envoy', () => {
  const envoy = (...args: string[]) => run([envoyCommand], ['envoy', ...args]);
  const printed = async (...args: string[]) => (await envoy('print', '-c', file, ...args)).stdout;
  const checked = async (text: string, ...args: string[]) => {
    const path = join(folder, 'envoy.yaml');
    writeFileSync(path, text);
    return envoy('check', path, ...args);
  };

  it.each(['standalone', 'istio', 'envoy-gateway'])(
    'print gives %s what its own check finds no fault with',
    async (target) => {
      const text = await printed('--for', target);
      expect(text).toContain('llama');
      const { code, stdout } = await checked(text, '--json');
      expect(JSON.parse(stdout).findings.filter(({ severity }: { severity: string }) => severity !== 'advice')).toEqual(
        [],
      );
      expect(code).toBe(0);
    },
  );

  it('print needs no credential of a model, and shows none', async () => {
    const text = await printed('--for', 'standalone');
    expect(text).toContain(join(stateDir, 'gate.sock'));
    expect(text).not.toContain('no-such-file');
  });

  it('print says which model is not in the mesh', async () => {
    const other = project('', 'http://127.0.0.1:8000');
    const { code, stdout, stderr } = await envoy('print', '--for', 'istio', '-c', other.file);
    rmSync(other.folder, { recursive: true });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/127\.0\.0\.1 is not a Service/);
  });

  it('print takes names of the mesh from its options', async () => {
    const text = await printed(
      '--for',
      'istio',
      '--domain',
      'ai.corp.example',
      '--trust-domain',
      'corp.example',
      '--gateway',
      'edge',
    );
    expect(text).toContain('ai.corp.example');
    expect(text).toContain('corp.example/ns/');
  });

  it.each([['--for', 'nginx'], ['--for', 'istio', '--context', 'everywhere'], []])(
    'print refuses %s %s %s %s with 2',
    async (...args) => {
      expect(await envoy('print', '-c', file, ...args)).toMatchObject({ code: 2, stdout: '' });
    },
  );

  it('check names the setting, its line, what it should be and why, and ends with 1', async () => {
    const open = (await printed('--for', 'standalone')).replace(
      'failure_mode_allow: false',
      'failure_mode_allow: true',
    );
    const { code, stdout } = await checked(open);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^OPENS {2}.*envoy\.yaml:\d+ .*failure_mode_allow\n {2}is true, should be false\n {2}\S/);
    const json = JSON.parse((await checked(open, '--json')).stdout);
    expect(json).toMatchObject({ ok: false, findings: [{ severity: 'opens', is: 'true', shouldBe: 'false' }] });
  });

  it.each([['{'], ['a: b'], ['']])('check ends with 2 for %j, which is no Envoy configuration', async (text) => {
    const { code, stdout, stderr } = await checked(text);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('cannot be checked');
  });

  it('print and check go by the identities that the configuration takes from Envoy', async () => {
    const verifying = join(folder, 'verifying.yaml');
    const identity =
      '  peers: {allow: ["spiffe://cluster.local/ns/batch/sa/*"]}\n  jwtAuthn: {enabled: true, providers: [demo]}';
    writeFileSync(verifying, readFileSync(file, 'utf8').replace('\nmodels:', `\n${identity}\nmodels:`));
    const istio = (await envoy('print', '--for', 'istio', '-c', verifying)).stdout;
    expect(istio).toContain('issuer: http://127.0.0.1:9');
    expect(await checked(istio, '-c', verifying)).toMatchObject({ code: 0 });
    const without = await printed('--for', 'istio');
    expect(await checked(without)).toMatchObject({ code: 0 });
    const { code, stdout } = await checked(without, '-c', verifying);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /metadata_context_namespaces\n {2}is not set[\s\S]*include_peer_certificate\n {2}is not set/,
    );
  });

  it('check ends with 2 for a file that is not there', async () => {
    expect((await envoy('check', join(folder, 'none'))).code).toBe(2);
  });
});

describe('doctor', () => {
  async function examine(upstream: string, env: NodeJS.ProcessEnv = {}, internal = '127.0.0.1:9') {
    const other = project(`listen: {internal: "${internal}"}\n`, upstream);
    chmodSync(other.stateDir, 0o755);
    const { code, stdout } = await run([doctorCommand], ['doctor', '--json', '--config', other.file], { env });
    rmSync(other.folder, { recursive: true });
    const { found } = JSON.parse(stdout) as { found: { what: string; result: string; detail: string }[] };
    return { code, found: Object.fromEntries(found.map(({ what, result, detail }) => [what, `${result}: ${detail}`])) };
  }

  it('finds each fault, and ends with 1', async () => {
    const binary = join(folder, 'old-envoy');
    writeFileSync(binary, '#!/bin/sh\necho "envoy  version: abc/1.30.1/Clean/RELEASE/x"\n');
    chmodSync(binary, 0o755);
    const { code, found } = await examine('http://127.0.0.1:9', { ENVOY_BIN: binary });
    expect(code).toBe(1);
    expect(found).toEqual({
      Envoy: expect.stringMatching(/^fault: 1\.30\.1 .* supported are 1\.36 to 1\.40$/),
      'State folder': expect.stringMatching(/^fault: .* is open to others \(mode 755\)/),
      'Provider demo': expect.stringMatching(/^fault: .* gives no discovery document/),
      Gateway: expect.stringMatching(/^warning: not running/),
      'Way around to llama': expect.stringMatching(/^ok: .* cannot be reached from here/),
    });
  });

  it.each([
    [
      { ready: true, detail: 'ClickHouse 26, 0 bytes and 0 ms behind the journal' },
      'ok: ClickHouse 26, 0 bytes and 0 ms behind the journal',
    ],
    [
      { ready: false, reason: 'ClickHouse refused an insert: code 60 (9 bytes and 70 ms behind the journal)' },
      'fault: ClickHouse refused an insert: code 60 (9 bytes and 70 ms behind the journal)',
    ],
  ])('tells of journal and store what the gateway says of them: %j', async (store, shown) => {
    const parts = { journal: { ready: true, detail: 'durability delivered' }, store };
    const gateway = createServer((_, response) =>
      response.end(JSON.stringify({ status: 'ready', reasons: [], parts })),
    );
    gateway.listen(0, '127.0.0.1');
    await once(gateway, 'listening');
    const listen = `127.0.0.1:${(gateway.address() as AddressInfo).port}`;
    const { found } = await examine('http://127.0.0.1:9', {}, listen);
    gateway.close();
    expect(found).toMatchObject({ Gateway: 'ok: ready', Journal: 'ok: durability delivered', Store: shown });
  });

  it.each([
    [200, 'fault'],
    [404, 'fault'],
    [302, 'fault'],
    [401, 'ok'],
    [403, 'ok'],
  ])('calls the model directly without a credential: an answer of %d is %s', async (status, result) => {
    const model = createServer((_, response) => response.writeHead(status, { location: '/' }).end()).listen(
      0,
      '127.0.0.1',
    );
    await once(model, 'listening');
    const { found } = await examine(`http://127.0.0.1:${(model.address() as AddressInfo).port}`);
    model.close();
    expect(found['Way around to llama']).toMatch(new RegExp(`^${result}: `));
  });
});
