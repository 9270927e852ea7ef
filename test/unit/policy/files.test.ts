import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprintOf, readPolicyFiles } from '../../../src/policy/files.ts';

describe('A folder of policies', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'policies-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const at = (path: string) => join(dir, path);
  const write = async (path: string, text: string | Uint8Array) => {
    await mkdir(join(at(path), '..'), { recursive: true });
    await writeFile(at(path), text);
  };

  test.each<[string, () => Promise<unknown>, string, string]>([
    ['a link to itself', () => symlink('a.yaml', at('a.yaml')), 'a.yaml', 'is a link that leads round to itself'],
    [
      'two links to each other',
      () => Promise.all([symlink('b.yaml', at('a.yaml')), symlink('a.yaml', at('b.yaml'))]),
      'a.yaml',
      'is a link that leads round to itself',
    ],
    [
      'a link to the folder that it lies in',
      () => symlink('.', at('again')),
      'again',
      'is a link to a folder that it lies in: a loop without an end',
    ],
    [
      'a link to a folder above it',
      async () => {
        await mkdir(at('team/inner'), { recursive: true });
        await symlink('../..', at('team/inner/top'));
      },
      'team/inner/top',
      'is a link to a folder that it lies in: a loop without an end',
    ],
    ['a link to nothing', () => symlink('gone.yaml', at('a.yaml')), 'a.yaml', 'is a link to nothing'],
    [
      'a file of ten megabytes',
      () => write('big.yaml', Buffer.alloc(10_485_760, 'x')),
      'big.yaml',
      'has 10485760 bytes; a policy file may have 1048576',
    ],
    [
      'over four megabytes together',
      () => Promise.all([0, 1, 2, 3, 4].map((n) => write(`${n}.yaml`, Buffer.alloc(1_048_576 - 10, 'x')))),
      '4.yaml',
      'the files are longer than 4194304 bytes together, up to this one',
    ],
    [
      'over a thousand files',
      async () => {
        for (let n = 0; n < 1001; n += 1) await write(`${String(n).padStart(4, '0')}.yaml`, 'x');
      },
      '1000.yaml',
      'there are more than 1000 files',
    ],
    ['folders in folders', () => write('a/b/c/d/e.yaml', 'x'), 'a/b/c/d', 'folders are nested deeper than 4'],
    [
      'bytes that are not UTF-8',
      () => write('a.yaml', Buffer.concat([Buffer.from('name: ö'), Buffer.of(0xff), Buffer.from('more')])),
      'a.yaml',
      'is not UTF-8: byte 8 (counted from 0) is wrong',
    ],
    [
      'a character that the end cuts off',
      () => write('a.yaml', Buffer.concat([Buffer.from('abc'), Buffer.of(0xe2, 0x82)])),
      'a.yaml',
      'is not UTF-8: byte 4 (counted from 0) is wrong',
    ],
    [
      'UTF-16',
      () => write('a.yaml', Buffer.from('\ufeffname: a', 'utf16le')),
      'a.yaml',
      'is not UTF-8: byte 0 (counted from 0) is wrong',
    ],
  ])('with %s is refused, and says where and why', async (_what, prepare, file, message) => {
    await prepare();
    const read = await readPolicyFiles(dir);
    expect(read).toMatchObject({ ok: false, problem: { file, message } });
    // What was read is what a look finds, as long as nothing changes: it is not read again and again.
    expect(await fingerprintOf(dir)).toBe(read.fingerprint);
  });

  test.each(['Y.YAML', 'a/b.Yml', 'y.json', 'models.YAML', 'deny.JSON'])(
    'with %s is refused: it would be no policy, without a word',
    async (path) => {
      await write('a.yaml', 'x');
      await write(path, 'x');
      const read = await readPolicyFiles(dir);
      const message = `ends in ${/\.\w+$/.exec(path)?.[0]}: policies end in .yaml or .yml. Rename it, or keep it elsewhere`;
      expect(read).toMatchObject({ ok: false, problem: { file: path, message } });
      expect(await fingerprintOf(dir)).toBe(read.fingerprint);
    },
  );

  test('may hold files that are no policies', async () => {
    for (const path of ['README.md', 'OWNERS', 'LICENSE', '.gitignore', '.x.json', '.ci/a.json', 'deny.yaml.bak'])
      await write(path, 'x');
    await write('a.yaml', 'x');
    expect(await readPolicyFiles(dir)).toMatchObject({ ok: true, files: [{ path: 'a.yaml' }] });
  });

  describe('with links', () => {
    let elsewhere: string;
    beforeEach(async () => {
      elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'));
      await writeFile(join(elsewhere, 'secret.yaml'), 'root:*:19000');
    });
    afterEach(() => rm(elsewhere, { recursive: true }));

    test.each<[string, string, () => Promise<unknown>]>([
      ['a file', 'team-a/q.yaml', () => symlink(join(elsewhere, 'secret.yaml'), at('team-a/q.yaml'))],
      ['a file of the system', 'team-a/q.yaml', () => symlink('/proc/self/mem', at('team-a/q.yaml'))],
      ['a folder', 'team-a/more', () => symlink(elsewhere, at('team-a/more'))],
      ['the folder above', 'team-a/up', () => symlink('../..', at('team-a/up'))],
      [
        'a file, over another link',
        'q.yaml',
        async () => {
          await symlink(elsewhere, at('..data'));
          await symlink('..data/secret.yaml', at('q.yaml'));
        },
      ],
    ])('out of it to %s is refused, and nothing of it is told', async (_what, file, prepare) => {
      await write('team-a/own.yaml', 'own');
      await prepare();
      const read = await readPolicyFiles(dir);
      const message = 'is a link that leads out of the policies folder: it is not read. Put the file itself there';
      expect(read).toMatchObject({ ok: false, problem: { file, message } });
      expect(JSON.stringify(read)).not.toContain('root');
      expect(await fingerprintOf(dir)).toBe(read.fingerprint);
    });

    test('inside of it follows them, and may itself be a link', async () => {
      await write('own.yaml', 'own');
      await write('.shared/more.yaml', 'more');
      await symlink('own.yaml', at('same.yaml'));
      await symlink('.shared', at('team-a'));
      await symlink(dir, join(elsewhere, 'policies'));
      for (const folder of [dir, join(elsewhere, 'policies')])
        expect(await readPolicyFiles(folder)).toMatchObject({
          ok: true,
          files: [
            { path: 'own.yaml', text: 'own' },
            { path: 'same.yaml', text: 'own' },
            { path: 'team-a/more.yaml', text: 'more' },
          ],
        });
    });

    test('out of it to what is no policy may stay: it is not read', async () => {
      await write('own.yaml', 'own');
      await symlink(join(elsewhere, 'secret.yaml'), at('README.md'));
      expect(await readPolicyFiles(dir)).toMatchObject({ ok: true, files: [{ path: 'own.yaml' }] });
    });
  });

  test('as Kubernetes mounts a ConfigMap changes in one step when its link is swapped', async () => {
    await write('..2026_01/a.yaml', 'old');
    await symlink('..2026_01', at('..data'));
    await symlink('..data/a.yaml', at('a.yaml'));
    const before = await readPolicyFiles(dir);
    expect(before).toMatchObject({ ok: true, files: [{ path: 'a.yaml', text: 'old' }] });
    const looked = await fingerprintOf(dir);
    await write('..2026_02/a.yaml', 'new');
    expect(await fingerprintOf(dir)).toBe(looked);
    await symlink('..2026_02', at('..data_tmp'));
    await rename(at('..data_tmp'), at('..data'));
    expect(await fingerprintOf(dir)).not.toBe(looked);
    expect(await readPolicyFiles(dir)).toMatchObject({ ok: true, files: [{ path: 'a.yaml', text: 'new' }] });
  });

  test('is seen to change by a file of the same size and date', async () => {
    await write('a.yaml', 'allow');
    await utimes(at('a.yaml'), 1, 1);
    const before = await fingerprintOf(dir);
    await write('b.tmp', 'deny!');
    await utimes(at('b.tmp'), 1, 1);
    await rename(at('b.tmp'), at('a.yaml'));
    expect(await fingerprintOf(dir)).not.toBe(before);
  });

  test('that was changed a moment ago is to be looked at once more', async () => {
    await write('a.yaml', 'x');
    expect(await readPolicyFiles(dir)).toMatchObject({ ok: true, fingerprint: '' });
    await expect.poll(async () => (await readPolicyFiles(dir)).fingerprint).toBe(await fingerprintOf(dir));
  });

  test('that changes all the time is an error, not a mixture', async () => {
    let on = true;
    await write('a.yaml', '0');
    let n = 0;
    const changing = (async () => {
      for (; on; n += 1) await writeFile(at('a.yaml'), String(n).padStart((n % 7) + 8, '0'));
    })();
    const results = await Promise.all(Array.from({ length: 20 }, () => readPolicyFiles(dir)));
    on = false;
    await changing;
    for (const result of results)
      if (!result.ok) expect(result.problem.message).toBe('the folder changes while it is read');
      else expect(result.files).toHaveLength(1);
  });
});
