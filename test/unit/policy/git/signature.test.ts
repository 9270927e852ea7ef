import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GitObject, ObjectType } from '../../../../src/policy/git/objects.ts';
import { type TagThatCounts, verifyChain } from '../../../../src/policy/git/signature.ts';
import { readSigners } from '../../../../src/policy/git/signers.ts';

/** Objects that git itself signed, and the public keys. */
const made = JSON.parse(readFileSync(join(import.meta.dirname, '../../../fixtures/git-signatures.json'), 'utf8')) as {
  readonly ssh: Readonly<Record<string, string>>;
  readonly openpgp: Readonly<Record<string, string>>;
  readonly objects: Readonly<Record<string, { readonly type: ObjectType; readonly base64: string }>>;
};
const bytesOf = (name: string): Buffer => Buffer.from(made.objects[name]!.base64, 'base64');
const objectOf = (name: string, bytes = bytesOf(name)): GitObject => ({ type: made.objects[name]!.type, bytes });
const line = (key: string, options = ''): string => `jane@example.com ${options} ${made.ssh[key]}`;
const everybody = `# who may sign\n\n${['ed', 'ec256', 'ec384', 'ec521', 'rsa'].map((key) => line(key)).join('\n')}
${made.openpgp['jane']}
${made.openpgp['rita']}`;
const nowMs = Date.UTC(2027, 0, 1);
const verified = (name: string, signers = everybody) => verifyChain([objectOf(name)], 'any', { signers, nowMs });
const verifiedAgain = (name: string, signers: string) =>
  verifyChain([objectOf(name)], 'any', { signers, nowMs: undefined });

describe('A signature that git made', () => {
  test.each([
    ['by an Ed25519 key of OpenSSH', 'ed', 'jane@example.com'],
    ['by an ECDSA key, P-256', 'ec256', 'jane@example.com'],
    ['by an ECDSA key, P-384', 'ec384', 'jane@example.com'],
    ['by an ECDSA key, P-521', 'ec521', 'jane@example.com'],
    ['by an RSA key of OpenSSH', 'rsa', 'jane@example.com'],
    ['of a tag, by OpenSSH', 'v1', 'jane@example.com'],
    ['by an OpenPGP key, Ed25519', 'gpg-jane', 'Jane <jane@example.com>'],
    ['by an OpenPGP key, RSA', 'gpg-rita', 'Rita <rita@example.com>'],
    ['of a tag, by OpenPGP', 'v2', 'Jane <jane@example.com>'],
  ])('%s is good, and says by whom', async (_how, name, who) => {
    expect(await verified(name)).toContain(who);
  });

  test.each([
    ['is missing', 'unsigned', everybody, 'it is not signed'],
    ['is missing from a tag', 'v0', everybody, 'it is not signed'],
    ['is by an SSH key that is not listed', 'stranger', everybody, 'an SSH key that is not among allowedSigners'],
    ['is by an OpenPGP key that is not listed', 'gpg-mallory', everybody, 'is not among allowedSigners'],
    ['is by an OpenPGP key that has ended', 'gpg-ended', made.openpgp['ended']!, 'its OpenPGP signature is not good'],
    [
      'is by a key that may sign other things only',
      'ed',
      line('ed', 'namespaces="file,email"'),
      'does not let sign for git',
    ],
    ['is by a key that was not valid yet', 'ed', line('ed', 'valid-after="20270101"'), 'is not valid now'],
    ['is by a key that is not valid any more', 'ed', line('ed', 'valid-before="20261201"'), 'is not valid now'],
  ])('that %s is not good, and says why', async (_how, name, signers, why) => {
    await expect(verified(name, signers)).rejects.toThrow(why);
  });

  test('by a key that ended later still stands for what was taken before', async () => {
    expect(await verifiedAgain('ed', line('ed', 'valid-before="20261201"'))).toBe('jane@example.com');
    await expect(verifiedAgain('ed', line('ed', 'valid-before="20250101"'))).rejects.toThrow('is not valid now');
    expect(await verifiedAgain('gpg-ended', made.openpgp['ended']!)).toContain('ended@example.com');
  });

  test('by a key within its namespaces and time is good', async () => {
    const options = 'namespaces="file,git",valid-after=202601010000Z,valid-before="20280101"';
    expect(await verified('ed', line('ed', options))).toBe('jane@example.com');
  });

  test.each(['ed', 'ec256', 'rsa', 'gpg-jane', 'gpg-rita', 'v1', 'v2'])(
    'of %s is not good any more when any byte of what it is over differs',
    async (name) => {
      const bytes = bytesOf(name);
      const text = bytes.toString('latin1');
      const places = [
        text.indexOf('example.com') + 3,
        text.lastIndexOf('igned') >= 0 ? text.indexOf('\n\n') + 3 : 10,
        10,
      ];
      for (const at of places) {
        const changed = Buffer.from(bytes);
        changed[at] = changed[at]! ^ 1;
        await expect(verifyChain([objectOf(name, changed)], 'any', { signers: everybody, nowMs })).rejects.toThrow();
      }
    },
  );

  test.each<[string, string, (text: string) => string, string]>([
    ['twice', 'ed', (text) => text.replace('gpgsig ', 'gpgsig x\ngpgsig '), 'two signatures'],
    ['moved to another commit', 'ed', (text) => text.replace(/^tree .*/, `tree ${'1'.repeat(40)}`), 'does not fit'],
    [
      'with its kind not known',
      'ed',
      (text) => text.replaceAll('SSH SIGNATURE', 'NEW SIGNATURE'),
      'of a kind that is not taken',
    ],
    ['with bytes after its end', 'ed', (text) => text.replace(/\n -----END/, 'AAAA\n -----END'), 'SSH signature'],
    ['with its end missing', 'ed', (text) => text.replace(/ -----END SSH SIGNATURE-----\n/, ''), 'no begin or no end'],
    [
      'with two committers',
      'ed',
      (text) => text.replace('committer ', 'committer A <a@b> 1 +0000\ncommitter '),
      'exactly one',
    ],
  ])('%s is refused', async (_how, name, change, why) => {
    const changed = Buffer.from(change(bytesOf(name).toString('latin1')), 'latin1');
    await expect(verifyChain([objectOf(name, changed)], 'any', { signers: everybody, nowMs })).rejects.toThrow(why);
  });

  const named = (name: string) => ({ named: name });
  /** `prod`, as somebody without a key makes it, around a tag or a commit. */
  const wrapper: GitObject = {
    type: 'tag',
    bytes: Buffer.from(
      `object ${'1'.repeat(40)}\ntype tag\ntag prod\ntagger M <m@example.com> 1790000000 +0000\n\nx\n`,
    ),
  };
  const signedTag = objectOf('v1');
  const commit = objectOf('unsigned');
  const signedCommit = objectOf('ed');

  test.each<[string, readonly GitObject[], TagThatCounts]>([
    ['a tag under its own name', [signedTag, commit], named('v1')],
    ['a tag under its own name, around another tag', [signedTag, wrapper, commit], named('v1')],
    ['a tag whose id is what the ref is', [signedTag, commit], 'any'],
    ['a commit that a branch names', [signedCommit], 'none'],
    ['a commit that an unsigned tag names', [wrapper, signedCommit], named('prod')],
    ['a commit that a tag signed under another name names', [signedTag, signedCommit], named('v9')],
  ])('counts when it is of %s', async (_what, chain, tag) => {
    expect(await verifyChain(chain, tag, { signers: everybody, nowMs })).toBe('jane@example.com');
  });

  test.each<[string, readonly GitObject[], TagThatCounts, string]>([
    ['a tag under another name', [signedTag, commit], named('v9'), 'under another name'],
    ['a tag that an unsigned tag wraps', [wrapper, signedTag, commit], named('prod'), 'a tag of a tag counts only'],
    ['a tag that an unsigned tag of its name wraps', [wrapper, signedTag, commit], named('v1'), 'a tag of a tag'],
    ['a tag that is wrapped, the ref being an id', [wrapper, signedTag, commit], 'any', 'a tag of a tag'],
    ['a commit that two unsigned tags wrap', [wrapper, wrapper, signedCommit], named('prod'), 'a tag of a tag'],
    ['a tag that a ref names that is none', [signedTag, commit], 'none', 'only where policies.git.ref names a tag'],
    ['nothing', [wrapper, commit], named('prod'), 'it is not signed'],
    ['nothing, as there is nothing', [], 'any', 'it is not signed'],
  ])('does not count when it is of %s', async (_what, chain, tag, why) => {
    await expect(verifyChain(chain, tag, { signers: everybody, nowMs })).rejects.toThrow(why);
  });
});

describe('A file of those who may sign', () => {
  test.each([
    [
      'an option that is not known',
      `a@b cert-authority ${'ssh-ed25519 AAAA'}`,
      'line 1 of allowedSigners has the option "cert-authority"',
    ],
    [
      'a key of a kind that is not taken',
      '# one\na@b ssh-dss AAAA',
      'line 2 of allowedSigners has no key that is read here',
    ],
    ['a key that is not base64', 'a@b ssh-ed25519 A!A', 'line 1 of allowedSigners has no key in base64'],
    ['no key', 'a@b', 'line 1 of allowedSigners has no key'],
    ['a quote without an end', '"a@b ssh-ed25519 AAAA', 'line 1 of allowedSigners has a quote without an end'],
    ['a date that is none', 'a@b valid-before="20261350" ssh-ed25519 AAAA', 'has no time in valid-before'],
    ['a line after a block of OpenPGP', `${made.openpgp['jane']}bad`, 'of allowedSigners has no key'],
  ])('with %s is refused with the line', (_what, text, why) => {
    expect(() => readSigners(text)).toThrow(why);
  });

  test('with a private OpenPGP key is refused', async () => {
    const { generateKey } = await import('openpgp');
    const { privateKey } = await generateKey({ userIDs: [{ name: 'x' }], format: 'armored' });
    expect(() => readSigners(privateKey)).toThrow('line 1 of allowedSigners');
  });
});
