import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { identities } from '../../../src/commands/demo/people.ts';
import { type DemoServer, startDemoProvider } from '../../../src/commands/demo/provider.ts';
import { writeRunning } from '../../../src/commands/demo/running.ts';
import { envoyCommand } from '../../../src/commands/envoy.ts';
import { schemaCommand } from '../../../src/commands/schema.ts';
import { tokenCommand } from '../../../src/commands/token.ts';
import { configSchema } from '../../../src/config.ts';
import type { Finding } from '../../../src/envoy/check.ts';
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
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, name]) => name ?? '')
      .filter((name) => name !== 'help');
    expect(commands).toEqual(expect.arrayContaining(['token', 'sessions', 'explain', 'sql', 'doctor', 'schema']));
    const leaves = commands.flatMap((name) =>
      name === 'sessions'
        ? [
            ['sessions', 'list'],
            ['sessions', 'show'],
          ]
        : name === 'envoy'
          ? []
          : [[name]],
    );
    for (const leaf of leaves) {
      const help = sallyport(...leaf, '--help');
      expect([leaf, help.status, help.stdout.includes('Examples:')]).toEqual([leaf, 0, true]);
    }
  }, 60_000);

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
    expect(execFileSync(join(root, 'src', 'main.ts'), ['--version'], { encoding: 'utf8' })).toMatch(
      /^\d+\.\d+\.\d+\n$/,
    );
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
    expect((await run([tokenCommand], ['token', '--config', file])).code).toBe(2);
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
  const finding: Finding = {
    rule: 'ext_authz.failure_mode_allow',
    severity: 'opens',
    path: 'filters[0].failure_mode_allow',
    line: 12,
    is: 'true',
    shouldBe: 'false',
    why: 'Everything passes.\u001b[2J',
  };
  const check = (text: string) => {
    if (text === 'not an Envoy') return { error: 'there is no listener' };
    if (text.includes('open')) return { findings: [finding] };
    return { findings: text.includes('odd') ? [{ ...finding, severity: 'advice' as const }] : [] };
  };
  const commands = [envoyCommand({ check, print: (config, target) => `# ${target} ${config.listen.grpc.kind}` })];

  it('print gives what Envoy needs, ended by a line break', async () => {
    expect(await run(commands, ['envoy', 'print', '--for', 'istio', '-c', file])).toMatchObject({
      code: 0,
      stdout: '# istio unix\n',
    });
    expect((await run(commands, ['envoy', 'print', '--for', 'nginx', '-c', file])).code).toBe(2);
    expect((await run(commands, ['envoy', 'print', '-c', file])).code).toBe(2);
  });

  it.each([
    ['closed', 0, 'Nothing in it opens or breaks the gate.\n'],
    ['odd', 0, expect.stringContaining('advice: ')],
    [
      'open',
      1,
      'opens: filters[0].failure_mode_allow (line 12)\n  is true; should be false\n  Everything passes.\\x1b[2J\n',
    ],
    ['not an Envoy', 2, ''],
  ])('check of a configuration that is %s ends with %d', async (text, code, stdout) => {
    const path = join(folder, 'envoy.yaml');
    writeFileSync(path, text);
    expect(await run(commands, ['envoy', 'check', path])).toMatchObject({ code, stdout });
  });

  it('check prints JSON, and ends with 2 for a file that is not there', async () => {
    writeFileSync(join(folder, 'envoy.yaml'), 'open');
    const { stdout } = await run(commands, ['envoy', 'check', join(folder, 'envoy.yaml'), '--json']);
    expect(JSON.parse(stdout)).toEqual({ ok: false, findings: [finding] });
    expect((await run(commands, ['envoy', 'check', join(folder, 'none')])).code).toBe(2);
  });
});

describe('doctor', () => {
  it('finds each fault, and ends with 1', () => {
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'bin', 'envoy'), '#!/bin/sh\necho "envoy  version: abc/1.30.1/Clean/RELEASE/x"\n');
    chmodSync(join(folder, 'bin', 'envoy'), 0o755);
    chmodSync(stateDir, 0o755);
    const { status, stdout } = spawnSync(process.execPath, [join(root, 'src', 'main.ts'), 'doctor', '--json'], {
      encoding: 'utf8',
      cwd: folder,
      env: { ENVOY_BIN: join(folder, 'bin', 'envoy') },
    });
    chmodSync(stateDir, 0o700);
    const { ok, found } = JSON.parse(stdout) as {
      ok: boolean;
      found: { what: string; result: string; detail: string }[];
    };
    expect([status, ok]).toEqual([1, false]);
    expect(found.map(({ what, result }) => `${what}: ${result}`)).toEqual([
      'Envoy: fault',
      'State folder: fault',
      'Provider demo: fault',
      'Gateway: warning',
    ]);
    expect(found[0]?.detail).toContain('supported are 1.36 to 1.40');
    expect(found[1]?.detail).toContain('mode 755');
  });
});
