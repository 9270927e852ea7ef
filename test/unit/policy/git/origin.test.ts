import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fs from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import git from 'isomorphic-git';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitOptions, gitOrigin } from '../../../../src/policy/git/origin.ts';
import type { Origin, OriginRead, Snapshot } from '../../../../src/policy/source.ts';
import { makePack } from '../../../support/git-pack.ts';
import {
  createRepository,
  type GitServer,
  packet,
  serveRepository,
  type TestRepository,
} from '../../../support/git-repository.ts';

let repository: TestRepository;
let state: string;
beforeEach(async () => {
  repository = await createRepository();
  state = await mkdtemp(join(tmpdir(), 'git-state-'));
});
afterEach(async () => {
  await repository.close();
  await rm(state, { recursive: true, force: true });
});

const originOf = (more: Partial<GitOptions> = {}): Origin =>
  gitOrigin({
    url: repository.dir,
    ref: 'main',
    path: '',
    timeout: 20_000,
    maxBytes: 10_000_000,
    requireSigned: false,
    allowRewind: false,
    dir: join(state, 'git'),
    password: undefined,
    nowMs: () => Date.UTC(2026, 10, 22),
    ...more,
  });

const snapshotOf = (read: OriginRead | undefined): Snapshot => {
  if (read?.ok !== true) throw new Error(JSON.stringify(read));
  return read.snapshot;
};
const problemOf = (read: OriginRead | undefined): string => {
  if (read?.ok !== false) throw new Error(JSON.stringify(read));
  return read.problems.map(({ message }) => message).join('\n');
};
const taken = async (origin: Origin): Promise<Snapshot> => {
  const snapshot = snapshotOf(await origin.read());
  await origin.taken(snapshot);
  return snapshot;
};

describe.each(['a local repository', 'a repository over HTTP'])('Policies from %s', (kind) => {
  let server: GitServer | undefined;
  let where: Partial<GitOptions>;
  beforeEach(async () => {
    server = kind === 'a local repository' ? undefined : await serveRepository(repository.dir);
    where = server === undefined ? {} : { url: server.url };
  });
  afterEach(() => server?.close());
  const open = (more: Partial<GitOptions> = {}) => originOf({ ...where, ...more });

  test('are those of the commit, and of the next one', async () => {
    const first = await repository.commit({ 'a.yaml': 'one', 'models.yaml': 'x', 'sub/b.yml': 'ö', 'README.md': 'x' });
    const origin = open();
    expect(await taken(origin)).toMatchObject({
      commit: first,
      files: [
        { path: 'a.yaml', text: 'one' },
        { path: 'sub/b.yml', text: 'ö' },
      ],
    });
    expect(await origin.read()).toEqual({ ok: 'same' });
    const second = await repository.commit({ 'a.yaml': 'two' });
    expect(await taken(origin)).toMatchObject({ commit: second, notes: [] });
    expect(await origin.read()).toEqual({ ok: 'same' });
  });

  test('are those below a folder of the repository, by branch, tag or commit', async () => {
    const first = await repository.commit({ 'deploy/policies/a.yaml': 'one', 'other.yaml': 'x' });
    await repository.tag('v1', first);
    await repository.commit({ 'deploy/policies/a.yaml': 'two' });
    for (const ref of ['v1', 'refs/tags/v1', first])
      expect(snapshotOf(await open({ ref, path: 'deploy/policies' }).read())).toMatchObject({
        commit: first,
        files: [{ path: 'a.yaml', text: 'one' }],
      });
    expect(problemOf(await open({ path: 'elsewhere' }).read())).toContain('the commit has no folder "elsewhere"');
    expect(problemOf(await open({ ref: 'gone' }).read())).toContain('no branch and no tag "gone"');
    await git.branch({ fs, dir: repository.dir, ref: 'v1' });
    expect(problemOf(await open({ ref: 'v1' }).read())).toContain('is a branch and a tag');
  });

  test('that were set back, or written anew, are refused until that is allowed', async () => {
    const first = await repository.commit({ 'a.yaml': 'one' });
    let last = first;
    for (let n = 0; n < 5; n += 1) last = await repository.commit({ 'a.yaml': `change ${n}` });
    const origin = open();
    await taken(origin);
    await repository.reset(first);
    expect(problemOf(await origin.read())).toContain(`commit ${first} does not follow from ${last}`);
    expect(problemOf(await origin.read())).toContain('does not follow');
    // A restart knows what was in force.
    expect(problemOf(await open().read())).toContain('does not follow');
    expect(snapshotOf(await open({ allowRewind: true }).read()).notes?.[0]).toContain('it is taken');
    await repository.reset(last);
    await repository.commit({ 'a.yaml': 'on' });
    expect(snapshotOf(await origin.read()).notes).toEqual([]);
  });

  test('that follow by more commits than are fetched at first are found to follow', async () => {
    await repository.commit({ 'a.yaml': 'one' });
    const origin = open();
    await taken(origin);
    for (let n = 0; n < 55; n += 1) await repository.commit({ 'a.yaml': `change ${n}` });
    expect(snapshotOf(await origin.read())).toMatchObject({ files: [{ text: 'change 54' }], notes: [] });
  });

  test('are what they were before when the repository is out of reach at the start', async () => {
    const first = await repository.commit({ 'a.yaml': 'one' });
    await taken(open());
    await server?.close();
    await repository.close();
    const again = open();
    expect(await again.read()).toMatchObject({ ok: false });
    expect(snapshotOf(await again.fallback?.())).toMatchObject({ commit: first, files: [{ text: 'one' }] });
    // Of another ref, what was in force says nothing.
    const other = open({ ref: 'other' });
    await other.read();
    expect(await other.fallback?.()).toMatchObject({ ok: false });
  });

  test('leave nothing behind but the copy of what is in force', async () => {
    await repository.commit({ 'a.yaml': 'one' });
    const origin = open();
    for (let n = 0; n < 3; n += 1) {
      await taken(origin);
      await repository.commit({ 'a.yaml': `two ${n}` });
    }
    expect(await readdir(join(state, 'git'))).toHaveLength(2);
  });

  test.each<[string, Record<string, string>, string]>([
    [
      'a file that is too long',
      { 'a.yaml': 'x'.repeat(1_048_577) },
      'has 1048577 bytes; a policy file may have 1048576',
    ],
    ['folders that are nested too deep', { 'a/b/c/d/e.yaml': 'x' }, 'folders are nested deeper than 4'],
    ['a name that is nearly one of a policy', { 'a.yaml': 'x', 'team/Y.YAML': 'x' }, 'ends in .YAML'],
  ])('with %s are refused', async (_what, files, why) => {
    await repository.commit(files);
    expect(problemOf(await open().read())).toContain(why);
  });

  test('that are symbolic links are refused', async () => {
    await symlink('/etc/hosts', join(repository.dir, 'a.yaml'));
    await git.add({ fs, dir: repository.dir, filepath: 'a.yaml' });
    await repository.commit({ 'b.yaml': 'x' });
    expect(problemOf(await open().read())).toContain('is a symbolic link');
  });
});

describe('Policies that must be signed', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const text = (value: string | Buffer) => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const blobOf = (key: KeyObject) =>
    Buffer.concat([text('ssh-ed25519'), text(Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url'))]);
  const signed = (payload: string): string => {
    const parts = [text('git'), text(''), text('sha512')];
    const over = Buffer.concat([Buffer.from('SSHSIG'), ...parts, text(createHash('sha512').update(payload).digest())]);
    const signature = Buffer.concat([text('ssh-ed25519'), text(sign(null, over, privateKey))]);
    const version = Buffer.of(0, 0, 0, 1);
    const blob = Buffer.concat([Buffer.from('SSHSIG'), version, text(blobOf(publicKey)), ...parts, text(signature)]);
    const lines = blob.toString('base64').match(/.{1,70}/g)!;
    return `-----BEGIN SSH SIGNATURE-----\n${lines.join('\n')}\n-----END SSH SIGNATURE-----\n`;
  };
  let signers: string;
  beforeEach(async () => {
    signers = join(state, 'allowed_signers');
    await writeFile(signers, `jane@example.com ssh-ed25519 ${blobOf(publicKey).toString('base64')}\n`);
  });
  const open = (more: Partial<GitOptions> = {}) => originOf({ requireSigned: true, allowedSigners: signers, ...more });

  test('are taken with who signed them, and not where they are not signed, nor after that until they are', async () => {
    const first = await repository.commit({ 'a.yaml': 'one' }, { sign: signed });
    const origin = open();
    expect(await taken(origin)).toMatchObject({ commit: first, by: 'signed by jane@example.com' });
    await repository.commit({ 'a.yaml': 'two' });
    expect(problemOf(await origin.read())).toContain('it is not signed');
    const third = await repository.commit({ 'a.yaml': 'three' }, { sign: signed });
    expect(await taken(origin)).toMatchObject({ commit: third });
  });

  test('are refused when they were changed after they were signed', async () => {
    const sign = (payload: string) => signed(payload.replace('Jane', 'John'));
    await repository.commit({ 'a.yaml': 'one' }, { sign });
    expect(problemOf(await open().read())).toContain('its SSH signature does not fit');
  });

  test('are not those of a signed tag that somebody put behind another name', async () => {
    const { dir } = repository;
    const tagger = { name: 'Jane', email: 'jane@example.com', timestamp: 1_790_000_000, timezoneOffset: 0 };
    const onSign = ({ payload }: { payload: string }) => ({ signature: signed(payload) });
    const tag = async (name: string, files: Record<string, string>) => {
      const object = await repository.commit(files);
      await git.annotatedTag({ fs, dir, ref: name, object, message: name, tagger, signingKey: 'x', onSign });
      return git.resolveRef({ fs, dir, ref: `refs/tags/${name}` });
    };
    await tag('prod', { 'a.yaml': 'good' });
    const origin = open({ ref: 'refs/tags/prod' });
    expect(await taken(origin)).toMatchObject({ by: 'signed by jane@example.com', files: [{ text: 'good' }] });
    const experimental = await tag('experimental', { 'a.yaml': 'not yet' });
    const wrapped = await git.writeTag({
      ...{ fs, dir },
      tag: { object: experimental, type: 'tag', tag: 'prod', tagger, message: 'no signature' },
    });
    for (const [ref, value] of [
      ['refs/tags/prod', wrapped],
      ['refs/tags/prod', experimental],
      ['refs/environments/prod', experimental],
    ] as const) {
      await git.writeRef({ fs, dir, ref, value, force: true });
      expect(problemOf(await open({ ref }).read())).toMatch(/a tag of a tag|under another name|names a tag/);
    }
  });

  test('are looked at again when those who may sign change', async () => {
    await repository.commit({ 'a.yaml': 'one' }, { sign: signed });
    const line = fs.readFileSync(signers, 'utf8');
    await writeFile(signers, '');
    const origin = open();
    expect(problemOf(await origin.read())).toContain('not among allowedSigners');
    await writeFile(signers, line);
    expect(snapshotOf(await origin.read()).by).toContain('jane');
  });

  test('are verified again when they come from the copy', async () => {
    await repository.commit({ 'a.yaml': 'one' }, { sign: signed });
    await taken(open());
    await repository.close();
    await writeFile(signers, '');
    const again = open();
    await again.read();
    expect(problemOf(await again.fallback?.())).toContain('not among allowedSigners');
  });

  test('are refused where the file of those who may sign is gone', async () => {
    await repository.commit({ 'a.yaml': 'one' }, { sign: signed });
    await rm(signers);
    expect(problemOf(await open().read())).toContain('policies.git.allowedSigners');
  });
});

describe('A repository over HTTP', () => {
  const zeros = deflateSync(Buffer.alloc(8_000_000), { level: 9 });
  let server: GitServer;
  beforeEach(async () => {
    await repository.commit({ 'a.yaml': 'one' });
    server = await serveRepository(repository.dir);
  });
  afterEach(() => server.close());
  const open = (more: Partial<GitOptions> = {}) => originOf({ url: server.url, ...more });

  test('is asked for its refs only, as long as they stay the same', async () => {
    const origin = open();
    await taken(origin);
    server.asked.length = 0;
    await origin.read();
    expect(server.asked.map(({ what }) => what)).toEqual(['GET /info/refs']);
  });

  test('gets the credential', async () => {
    const origin = open({ credential: { username: 'git' }, password: async () => 'secret' });
    await taken(origin);
    const basic = `Basic ${Buffer.from('git:secret').toString('base64')}`;
    expect(server.asked.map(({ authorization }) => authorization)).toEqual([basic, basic]);
    const without = open({ password: () => Promise.reject(new Error('the environment variable X is not set')) });
    expect(problemOf(await without.read())).toBe('policies.git.credential: the environment variable X is not set');
  });

  test.each<[string, NonNullable<GitServer['broken']>, string]>([
    ['wants a credential', (_, response) => response.writeHead(401).end(), 'does not let the gateway in (401)'],
    ['is not there', (_, response) => response.writeHead(404).end(), 'there is no such repository'],
    ['is elsewhere', (_, response) => response.writeHead(301, { location: '/x' }).end(), 'is elsewhere (301)'],
    ['fails', (_, response) => response.writeHead(500).end(), 'answered 500'],
    [
      'is a page',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      'this is no git repository',
    ],
    [
      'is cut off',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' }).end('001e# service'),
      'is cut off or is not git’s',
    ],
    [
      'counts in SHA-256',
      (_, response) =>
        response
          .writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
          .end(`0069${'a'.repeat(64)} refs/heads/main\0object-format=sha256`.padEnd(105, ' ')),
      'SHA-256',
    ],
    ['hangs up', (request) => request.socket.destroy(), 'cannot be reached'],
  ])('that %s keeps the old set and says why', async (_what, broken, why) => {
    const origin = open();
    await taken(origin);
    server.broken = broken;
    expect(problemOf(await origin.read())).toContain(why);
    server.broken = undefined;
    expect(await origin.read()).toEqual({ ok: 'same' });
  });

  test('that never answers is given up, and so it is when the gateway stops', async () => {
    server.broken = () => {};
    expect(problemOf(await open({ timeout: 500 }).read())).toContain('was not read within 0.5 s');
    const before = server.asked.length;
    const origin = open();
    const reading = origin.read();
    await expect.poll(() => server.asked.length, { timeout: 10_000 }).toBeGreaterThan(before);
    origin.close?.();
    expect(problemOf(await reading)).toBe('the gateway stops');
  });

  test('that sends a little which unpacks to very much is refused', async () => {
    const bomb = makePack(
      Array.from({ length: 200 }, () => ({ kind: 'blob', bytes: Buffer.alloc(0), declared: 8_000_000, packed: zeros })),
    );
    expect(bomb.length).toBeLessThan(2_000_000);
    server.broken = (request, response) => {
      if (request.method === 'GET') return server.answer(request, response);
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      const bands = Array.from({ length: Math.ceil(bomb.length / 60_000) }, (_, n) =>
        Buffer.concat([Buffer.of(1), bomb.subarray(n * 60_000, (n + 1) * 60_000)]),
      );
      return response.end(Buffer.concat([packet('NAK\n'), ...bands.map(packet), Buffer.from('0000')]));
    };
    expect(problemOf(await open().read())).toContain('more than 40000000 bytes unpacked');
  });

  test('that is larger than it may be is refused', async () => {
    await repository.commit({
      'big.bin': Array.from({ length: 20_000 }, (_, n) => createHash('sha256').update(`${n}`).digest('hex')).join(''),
    });
    expect(problemOf(await open({ maxBytes: 65_536 }).read())).toContain('larger than 65536 bytes');
  });
});

describe('A local repository', () => {
  test('with packs and packed refs is read, its objects checked by their hashes', async () => {
    const { dir } = repository;
    const commit = await repository.commit({ 'a.yaml': 'one' });
    const all: string[] = [];
    for (const folder of await readdir(join(dir, '.git/objects')))
      if (folder.length === 2)
        for (const rest of await readdir(join(dir, '.git/objects', folder))) all.push(folder + rest);
    const { filename } = await git.packObjects({ fs, dir, oids: all, write: true });
    await git.indexPack({ fs, dir, filepath: `.git/objects/pack/${filename}` });
    for (const oid of all) await rm(join(dir, '.git/objects', oid.slice(0, 2), oid.slice(2)));
    await rm(join(dir, '.git/refs/heads/main'));
    await writeFile(
      join(dir, '.git/packed-refs'),
      `# pack-refs with: peeled fully-peeled sorted\n${commit} refs/heads/main\n`,
    );
    expect(snapshotOf(await originOf().read())).toMatchObject({ commit, files: [{ text: 'one' }] });
    // An index that says that other bytes are the blob: the hash gives it away.
    const evil = await git.writeBlob({ fs, dir, blob: Buffer.from('evil') });
    const { oid } = await git.readBlob({ fs, dir, oid: commit, filepath: 'a.yaml' });
    await mkdir(join(dir, '.git/objects', oid.slice(0, 2)), { recursive: true });
    await fs.promises.copyFile(
      join(dir, '.git/objects', evil.slice(0, 2), evil.slice(2)),
      join(dir, '.git/objects', oid.slice(0, 2), oid.slice(2)),
    );
    expect(problemOf(await originOf().read())).toContain(`object ${oid}`);
  });

  test.each(['a loose object', 'an object in a pack'])(
    'with %s that is longer than one may be is refused',
    async (kind) => {
      const { dir } = repository;
      await repository.commit({ 'a.yaml': 'x'.repeat(8_388_700) });
      if (kind === 'an object in a pack') {
        const { oid } = await git.readBlob({
          fs,
          dir,
          oid: await git.resolveRef({ fs, dir, ref: 'main' }),
          filepath: 'a.yaml',
        });
        const { filename } = await git.packObjects({ fs, dir, oids: [oid], write: true });
        await git.indexPack({ fs, dir, filepath: `.git/objects/pack/${filename}` });
        await rm(join(dir, '.git/objects', oid.slice(0, 2), oid.slice(2)));
      }
      expect(problemOf(await originOf().read())).toMatch(/more than 8388608 bytes|longer than 8388608 bytes/);
    },
  );

  test('of which more is read than may be is refused', async () => {
    const { dir } = repository;
    const oid = await git.writeBlob({ fs, dir, blob: Buffer.from('x') });
    const file = { mode: '100644', path: 'n'.repeat(100_000), oid, type: 'blob' } as const;
    let tree = await git.writeTree({ fs, dir, tree: [file] });
    for (let n = 0; n < 2; n += 1)
      tree = await git.writeTree({ fs, dir, tree: [{ mode: '040000', path: 'd', oid: tree, type: 'tree' }, file] });
    await git.commit({ fs, dir, message: 'long names', author: { name: 'Jane', email: 'jane@example.com' }, tree });
    expect(problemOf(await originOf({ maxBytes: 65_536 }).read())).toContain('more than 262144 bytes');
  });

  test.each<[string, () => Promise<unknown>, string]>([
    ['is not there', () => rm(repository.dir, { recursive: true }), 'there is no git repository'],
    [
      'borrows objects',
      () =>
        mkdir(join(repository.dir, '.git/objects/info'), { recursive: true }).then(() =>
          writeFile(join(repository.dir, '.git/objects/info/alternates'), '/x'),
        ),
      'borrows objects',
    ],
    [
      'counts in SHA-256',
      () => writeFile(join(repository.dir, '.git/config'), '[extensions]\n\tobjectFormat = sha256\n'),
      'SHA-256',
    ],
    [
      'is a linked work tree',
      async () => {
        await rm(join(repository.dir, '.git'), { recursive: true });
        await writeFile(join(repository.dir, '.git'), 'gitdir: /x');
      },
      'linked work tree',
    ],
  ])('that %s is refused', async (_what, prepare, why) => {
    await repository.commit({ 'a.yaml': 'one' });
    await prepare();
    expect(problemOf(await originOf().read())).toContain(why);
  });

  test('may be named by a file:// URL', async () => {
    const commit = await repository.commit({ 'a.yaml': 'one' });
    expect(snapshotOf(await originOf({ url: `file://${repository.dir}` }).read())).toMatchObject({ commit });
  });
});
