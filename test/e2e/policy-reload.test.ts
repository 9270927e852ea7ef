import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AddCommand } from '../../src/commands/cli.ts';
import { addPush } from '../../src/commands/policy-push.ts';
import { createRepository, type GitServer, serveRepository, type TestRepository } from '../support/git-repository.ts';
import { run } from '../unit/commands/run.ts';
import { archiveClient } from './support/archive.ts';
import { ask } from './support/ask.ts';
import { startFleet } from './support/processes.ts';
import { DEFAULT_POLICY, eventually, type Stack, startStack } from './support/stack.ts';

const rule = (text: string): string =>
  DEFAULT_POLICY.replace(/rules:[\s\S]*/, `rules:\n    - {name: all, then: allow}\n    - ${text}\n`);
/** Nobody may, and is told this. */
const closed = (message: string): string => rule(`{name: closed, then: deny, message: "${message}"}`);

interface Ready {
  readonly status: string;
  readonly parts: { readonly policies: { readonly detail: string } };
}
const ready = async ({ gateway }: Stack): Promise<Ready> =>
  (await fetch(`${gateway.addresses['internal']}/readyz`)).json() as Promise<Ready>;
const metrics = async ({ gateway }: Stack): Promise<string> =>
  (await fetch(`${gateway.addresses['internal']}/metrics`)).text();
const said = async (stack: Stack, message: string): Promise<void> =>
  eventually(
    async () => ((await ask(stack)).text.includes(message) ? true : undefined),
    `an answer with ${message}`,
  ).then(() => {});
const policyEvents = async (stack: Stack) =>
  (await stack.journal()).flatMap((line) =>
    line.kind === 'event' && line.event.type === 'policy' ? [line.event] : [],
  );

const push: AddCommand = (program) => addPush(program.command.command('policy'), program);
const pushed = (stack: Stack, dir: string, ...more: string[]) =>
  run([push], ['policy', 'push', dir, '--config', stack.config.file, ...more]);

const folders: string[] = [];
afterAll(() => {
  for (const dir of folders) rmSync(dir, { recursive: true });
});

function folder(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'pushed-'));
  folders.push(dir);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

describe('policies from a folder', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({ config: { policies: { reload: { interval: '1s' } } } });
  });
  afterAll(() => stack.close());
  const write = (text: string) => writeFileSync(join(stack.dir, 'policies/test.yaml'), text);

  test('are in force within seconds of a change, without a failed request', async () => {
    const until = Date.now() + 4_000;
    const statuses = new Map<number, number>();
    const asking = (async () => {
      while (Date.now() < until) {
        const { status } = await ask(stack);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    })();
    write(DEFAULT_POLICY.replace('name: test', 'name: changed'));
    await eventually(async () => ((await policyEvents(stack)).length === 2 ? true : undefined), 'a second revision');
    await asking;
    expect([...statuses.keys()]).toEqual([200]);
    const events = await policyEvents(stack);
    expect(events[1]).toMatchObject({
      action: 'loaded',
      source: 'folder',
      files: { 'test.yaml': readFileSync(join(stack.dir, 'policies/test.yaml'), 'utf8') },
    });
    const { revision } = events[1] as unknown as { revision: string };
    expect((await ready(stack)).parts.policies.detail).toContain(`${revision} from folder, in force since`);
    expect(await metrics(stack)).toContain(`sallyport_policy_info{revision="${revision}",commit=""} 1`);
    const decisions = (await stack.journal()).filter((line) => line.kind === 'event' && line.event.type === 'decision');
    expect(decisions.length).toBeGreaterThan(1);
    await ask(stack);
    const last = (await stack.journal()).findLast((line) => line.kind === 'event' && line.event.type === 'decision');
    expect(last).toMatchObject({ event: { revision } });
  });

  test('that are broken keep the old set, and say so in the log, in /readyz and on the record', async () => {
    write(closed('Closed today.'));
    await said(stack, 'Closed today.');
    write('rules: [');
    const { parts, status } = await eventually(async () => {
      const now = await ready(stack);
      return now.parts.policies.detail.includes('refused since') ? now : undefined;
    }, 'a refused set in /readyz');
    expect(status).toBe('ready');
    expect(parts.policies.detail).toMatch(/refused since \S+: test\.yaml:1:\d+: /);
    expect((await ask(stack)).text).toContain('Closed today.');
    expect(stack.log.some((line) => line.includes('policies were refused; those in force stay'))).toBe(true);
    expect((await policyEvents(stack)).at(-1)).toMatchObject({ action: 'refused', files: {}, revision: '' });
    expect(await metrics(stack)).toMatch(/sallyport_policy_reloads_total\{outcome="refused"\} \d/);
    write(closed('Closed tomorrow.'));
    await said(stack, 'Closed tomorrow.');
    expect((await ready(stack)).parts.policies.detail).not.toContain('refused');
  });

  test('are all on the record by their revision, for SQL', async () => {
    const { rows } = await archiveClient(stack).sql(
      `SELECT revision, source, files['test.yaml'] AS text, last_loaded_at >= first_loaded_at FROM policy_revisions ORDER BY first_loaded_at`,
    );
    expect(rows.map(([, source, , inOrder]) => [source, Number(inOrder)])).toEqual(rows.map(() => ['folder', 1]));
    expect(rows.map(([, , text]) => text)).toEqual([
      DEFAULT_POLICY,
      DEFAULT_POLICY.replace('name: test', 'name: changed'),
      closed('Closed today.'),
      closed('Closed tomorrow.'),
    ]);
  });

  test('of four megabytes go on the record whole', async () => {
    const filler = (n: number) =>
      `${DEFAULT_POLICY.replace('name: test', `name: big${n}`)}${`# ${'ü"\\'.repeat(20)}\n`.repeat(12_000)}`;
    for (let n = 0; n < 4; n += 1) writeFileSync(join(stack.dir, `policies/big${n}.yaml`), filler(n));
    const size = Buffer.byteLength(filler(0)) * 4;
    expect(size).toBeGreaterThan(3_500_000);
    const revision = await eventually(async () => {
      const now = (await policyEvents(stack)).at(-1);
      return now?.['parts'] === 5 && now['part'] === 5 ? String(now['revision']) : undefined;
    }, 'the whole revision on the journal');
    const hash = createHash('sha256').update(filler(3)).digest('hex').toUpperCase();
    const query = `SELECT length(files), hex(SHA256(files['big3.yaml'])) FROM policy_revisions WHERE length(files) = 5`;
    const [row] = await eventually(
      async () => {
        const { rows } = await archiveClient(stack).sql(query);
        return rows.length > 0 ? rows : undefined;
      },
      'the revision in the store',
      30_000,
    );
    expect(row?.[1]).toBe(hash);
    expect((await ready(stack)).parts.policies.detail).toContain(revision);
  });
});

test('policies that Kubernetes mounts change when it swaps the link', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mounted-'));
  const version = (name: string, text: string): void => {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'test.yaml'), text);
    symlinkSync(name, join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  version('..2026_01', DEFAULT_POLICY);
  symlinkSync('..data/test.yaml', join(dir, 'test.yaml'));
  const stack = await startStack({ config: { policies: { dir, reload: { interval: '1s' } } } });
  try {
    expect((await ask(stack)).status).toBe(200);
    version('..2026_02', closed('Swapped.'));
    await said(stack, 'Swapped.');
  } finally {
    await stack.close();
    rmSync(dir, { recursive: true });
  }
});

test('a gateway process loads its policies again on SIGHUP, and goes on', async () => {
  const fleet = await startFleet({ gates: 1, config: { policies: { reload: { interval: 'off' } } } });
  try {
    const [gate] = fleet.gates;
    expect((await ask(fleet)).status).toBe(200);
    writeFileSync(join(gate!.config.policies.dir, 'test.yaml'), closed('After SIGHUP.'));
    gate!.signal('SIGHUP');
    await eventually(
      async () => ((await ask(fleet)).text.includes('After SIGHUP.') ? true : undefined),
      'new policies',
    );
    expect(await gate!.readyz()).toBe(200);
  } finally {
    await fleet.close();
  }
});

describe('policies from git', () => {
  let repository: TestRepository;
  let server: GitServer;
  let stack: Stack;
  let first: string;
  beforeAll(async () => {
    repository = await createRepository();
    first = await repository.commit({ 'deploy/test.yaml': DEFAULT_POLICY });
    server = await serveRepository(repository.dir);
    const git = { url: server.url, path: 'deploy', interval: '5s' };
    stack = await startStack({ config: { policies: { source: 'git', git } } });
  });
  afterAll(async () => {
    await stack.close();
    await server.close();
    await repository.close();
  });

  test('are in force by their commit, which the record, /readyz and metrics name', async () => {
    expect((await ask(stack)).status).toBe(200);
    const second = await repository.commit({ 'deploy/test.yaml': closed('By commit.') });
    await said(stack, 'By commit.');
    expect((await ready(stack)).parts.policies.detail).toContain(`(commit ${second}) from git`);
    expect(await metrics(stack)).toContain(`commit="${second}"} 1`);
    expect((await policyEvents(stack)).at(-1)).toMatchObject({ source: 'git', commit: second });
    const lines = await stack.journal();
    const decisions = lines.flatMap((line) =>
      line.kind === 'event' && line.event.type === 'decision' ? [line.event] : [],
    );
    expect(decisions.at(-1)).toMatchObject({ commit: second });
  });

  test('that were set back keep those in force, and /readyz says so', async () => {
    await repository.reset(first);
    await stack.gateway.reload();
    expect((await ready(stack)).parts.policies.detail).toContain('does not follow from');
    expect((await ask(stack)).text).toContain('By commit.');
  });
});

test('policies from git that must be signed refuse to start with a commit that is not', async () => {
  const repository = await createRepository();
  const dir = mkdtempSync(join(tmpdir(), 'signers-'));
  try {
    await repository.commit({ 'test.yaml': DEFAULT_POLICY });
    writeFileSync(join(dir, 'allowed_signers'), '# nobody\n');
    const git = { url: repository.dir, requireSigned: true, allowedSigners: join(dir, 'allowed_signers') };
    await expect(startStack({ config: { policies: { source: 'git', git } } })).rejects.toThrow('it is not signed');
  } finally {
    await repository.close();
    rmSync(dir, { recursive: true });
  }
});

describe('policies that are pushed', () => {
  let stack: Stack;
  let dir: string;
  beforeAll(async () => {
    stack = await startStack({ config: { policies: { source: 'push', push: { groups: ['ml-eng'] } } } });
    dir = folder({ 'test.yaml': closed('Pushed by the socket.') });
  });
  afterAll(() => stack.close());
  const revision = async (): Promise<string> => /sha256:\w+/.exec((await ready(stack)).parts.policies.detail)![0];
  const put = async (who: 'jane' | 'sam' | undefined, body: string, headers: Record<string, string> = {}, query = '') =>
    fetch(`${stack.gateway.addresses['public']}/policies${query}`, {
      method: 'PUT',
      body,
      headers: { ...(who && { authorization: `Bearer ${await stack.token(who)}` }), ...headers },
    });
  const line = (text: string) => `${JSON.stringify({ path: 'test.yaml', text })}\n`;

  test('by the CLI on this machine are in force at once, with who pushed on the record', async () => {
    expect((await ask(stack)).status).toBe(200);
    const checked = await pushed(stack, dir, '--check');
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('would take them') });
    expect((await ask(stack)).status).toBe(200);
    const done = await pushed(stack, dir);
    expect(done).toMatchObject({ code: 0, stdout: `Revision ${await revision()} is in force.\n` });
    expect((await ask(stack)).text).toContain('Pushed by the socket.');
    expect((await policyEvents(stack)).at(-1)).toMatchObject({ action: 'loaded', source: 'push', by: 'ann' });
    expect((await pushed(stack, dir)).stdout).toContain('is in force already');
  });

  test('on another revision than the one in force are not taken', async () => {
    const other = folder({ 'test.yaml': closed('Second.') });
    const lost = await pushed(stack, other, '--expect', 'sha256:0000000000000000');
    expect(lost).toMatchObject({ code: 1, stderr: expect.stringContaining(`In force: ${await revision()}.`) });
    expect((await pushed(stack, other, '--expect', await revision())).code).toBe(0);
  });

  test('with problems are not taken, and all of them are listed', async () => {
    const before = await revision();
    const wrong = folder({ 'a.yaml': rule('{name: x, when: "request.modle", then: deny}'), 'b.yaml': 'x: 1' });
    const refused = await pushed(stack, wrong);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/a\.yaml:\d+:\d+: [\s\S]*b\.yaml:1:\d+: /);
    expect(await revision()).toBe(before);
    expect((await policyEvents(stack)).at(-1)).toMatchObject({ action: 'refused', by: 'ann' });
  });

  test('by a caller in one of the groups are taken, by any other not, on the record', async () => {
    const taken = await put('jane', line(closed('By jane.')));
    expect([taken.status, await taken.json()]).toEqual([200, { revision: await revision(), new: true, inForce: true }]);
    const checked = await put('jane', line(closed('Never.')), {}, '?check=true');
    const { revision: would, ...rest } = (await checked.json()) as { revision: string };
    expect([checked.status, rest]).toEqual([200, { new: true, checked: true }]);
    expect(would).not.toBe(await revision());
    expect((await put('jane', line(closed('By jane.')), {}, '?check=false')).status).toBe(200);
    expect(taken.headers.get('etag')).toBe(`"${await revision()}"`);
    expect((await policyEvents(stack)).at(-1)).toMatchObject({ by: 'demo/jane' });
    const denied = await put('sam', line(closed('By sam.')));
    expect([denied.status, await denied.json()]).toMatchObject([403, { error: { code: 'policy_push_denied' } }]);
    expect((await put(undefined, line(closed('By nobody.')))).status).toBe(401);
    const refused = await eventually(async () => {
      const lines = await stack.journal();
      const events = lines.flatMap((one) => (one.kind === 'event' && one.event.type === 'refused' ? [one.event] : []));
      return events.length === 2 ? events : undefined;
    }, 'both refusals');
    expect(refused).toMatchObject([
      { code: 'policy_push_denied', status: 403, caller: { subject: 'sam' } },
      { status: 401, http: { path: '/policies' } },
    ]);
    expect((await ask(stack)).text).toContain('By jane.');
  });

  test.each<[string, string, Record<string, string>, string, number]>([
    ['a path that leads out of the folder', `${JSON.stringify({ path: '../x.yaml', text: 'x' })}\n`, {}, '', 400],
    ['a path twice', line('x') + line('x'), {}, '', 400],
    ['a name that is nearly one of a policy', `${JSON.stringify({ path: 'x.YAML', text: 'x' })}\n`, {}, '', 400],
    ['a line that is no JSON', '{\n', {}, '', 400],
    ['a key too many', `${JSON.stringify({ path: 'a.yaml', text: 'x', mode: 1 })}\n`, {}, '', 400],
    ['a file that is too long', line('x'.repeat(1_048_577)), {}, '', 400],
    ['nothing in it', '', {}, '', 422],
    ['a tag that is none', line('x'), { 'if-match': 'sha256:0' }, '', 400],
    ['another revision', line('x'), { 'if-match': '"sha256:0"' }, '', 412],
    ['an answer that is none', line('x'), {}, '?check=maybe', 400],
    ['a question that is not known', line('x'), {}, '?chekc=true', 400],
    ['a question asked twice', line('x'), {}, '?check=false&check=true', 400],
  ])('with %s change nothing', async (_what, body, headers, query, status) => {
    const before = await revision();
    expect((await put('jane', body, headers, query)).status).toBe(status);
    expect(await revision()).toBe(before);
  });
});

test('policies that were pushed are in force after a restart', async () => {
  const fleet = await startFleet({ gates: 1, config: { policies: { source: 'push' } } });
  try {
    const [gate] = fleet.gates;
    const dir = folder({ 'test.yaml': closed('Pushed.') });
    const { code } = await run([push], ['policy', 'push', dir, '--config', gate!.config.file]);
    expect(code).toBe(0);
    gate!.signal('SIGKILL');
    await gate!.exited();
    await gate!.start();
    await eventually(
      async () => ((await ask(fleet)).text.includes('Pushed.') ? true : undefined),
      'the pushed policies',
    );
  } finally {
    await fleet.close();
  }
});

test('a gateway that reads a folder takes no pushes, and says where its policies come from', async () => {
  const stack = await startStack();
  try {
    const dir = folder({ 'test.yaml': closed('Pushed.') });
    expect(await pushed(stack, dir)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('its policies come from the folder'),
    });
    expect((await fetch(`${stack.gateway.addresses['public']}/policies`, { method: 'PUT', body: 'x' })).status).toBe(
      404,
    );
  } finally {
    await stack.close();
  }
});
