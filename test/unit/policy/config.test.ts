import { describe, expect, test } from 'vitest';
import { policiesSection } from '../../../src/policy/config.ts';

const git = { url: 'https://git.example/policies.git' };

describe('The section `policies`', () => {
  test('reads a folder every two seconds when nothing is said', () => {
    expect(policiesSection.parse({})).toMatchObject({ source: 'dir', dir: 'policies', reload: { interval: 2_000 } });
    expect(policiesSection.parse({ reload: { interval: 'off' } }).reload.interval).toBeUndefined();
  });

  test.each([
    ['https://git.example/a/b.git'],
    ['http://127.0.0.1:8080/a.git'],
    ['/srv/git/policies'],
    ['../policies.git'],
    ['file:///srv/git/policies.git'],
  ])('takes the repository %s', (url) => {
    const parsed = policiesSection.parse({ source: 'git', git: { url } });
    expect(parsed.git).toMatchObject({ url, ref: 'main', path: '', interval: 60_000, requireSigned: false });
  });

  test.each<[string, object, string]>([
    ['ssh', { source: 'git', git: { url: 'ssh://git@git.example/a.git' } }, 'ssh is not spoken here'],
    ['ssh, as scp writes it', { source: 'git', git: { url: 'git@git.example:a.git' } }, 'ssh is not spoken here'],
    ['the git protocol', { source: 'git', git: { url: 'git://git.example/a.git' } }, 'git: is not spoken here'],
    ['http elsewhere', { source: 'git', git: { url: 'http://git.example/a.git' } }, 'must be https'],
    ['a token in the URL', { source: 'git', git: { url: 'https://token@git.example/a.git' } }, 'see `credential`'],
    ['a query in the URL', { source: 'git', git: { url: 'https://git.example/a.git?x' } }, 'no query'],
    ...['../x', 'a//b', '/a', 'a/', 'a/.b', 'a..b', 'a.lock/b', 'a.', 'a@{1}', '@', 'a b', 'a\u0007', 'a:b'].map(
      (ref): [string, object, string] => [
        `the ref ${JSON.stringify(ref)}`,
        { source: 'git', git: { ...git, ref } },
        'must be a branch, a tag or a commit',
      ],
    ),
    ['a path out of the repository', { source: 'git', git: { ...git, path: '../x' } }, 'a folder in the repository'],
    [
      'a ref that is an option',
      { source: 'git', git: { ...git, ref: '--upload-pack=x' } },
      'a branch, a tag or a commit',
    ],
    [
      'signatures by nobody',
      { source: 'git', git: { ...git, requireSigned: true } },
      'requireSigned needs allowedSigners',
    ],
    [
      'a credential from two places',
      { source: 'git', git: { ...git, credential: { env: 'A', file: 'b' } } },
      'either file or env',
    ],
    ['git without a repository', { source: 'git' }, 'needs the key git'],
    ['a repository that nobody reads', { git }, 'is read with `source: git` only'],
    ['groups of a push that nobody takes', { push: { groups: ['a'] } }, 'is read with `source: push` only'],
    ['looks too often', { reload: { interval: '10ms' } }, 'must be a duration'],
    ['a key that is not known', { watch: true }, 'watch'],
  ])('refuses %s', (_what, section, message) => {
    const parsed = policiesSection.safeParse(section);
    expect(JSON.stringify(parsed.error?.issues)).toContain(message);
  });
});
