import { describe, expect, test } from 'vitest';
import { stateSection } from '../../../src/state/config.ts';

const url = 'rediss://redis.example.com:6379';
const problems = (value: unknown) => {
  const parsed = stateSection.safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

describe('the state section', () => {
  test('is SQLite unless it says otherwise', () => {
    expect(stateSection.parse({})).toEqual({ engine: 'sqlite', file: 'control.db', busyTimeoutMs: 1000 });
    expect(stateSection.parse({ file: 'x.db' })).toMatchObject({ engine: 'sqlite', file: 'x.db' });
    expect(stateSection.parse({ engine: 'sqlite' })).toMatchObject({ file: 'control.db' });
  });

  test('of Redis needs no more than an address', () => {
    expect(stateSection.parse({ engine: 'redis', url })).toEqual({
      engine: 'redis',
      url,
      database: 0,
      prefix: 'sallyport:',
      timeoutMs: 1000,
    });
  });

  test.each(['redis://127.0.0.1', 'redis://[::1]:6380', 'rediss://redis:6379/', 'redis://r:1'])(
    'takes the address %s',
    (address) => expect(problems({ engine: 'redis', url: address })).toEqual([]),
  );

  test.each([
    'rediss://:hunter2@redis:6379',
    'rediss://user@redis:6379',
    'rediss://user:hunter2@redis:6379',
    'redis://redis:6379/3',
    'redis://redis:6379?password=hunter2',
    'redis://redis:6379#x',
    'redis:///',
    'redis:redis',
    'redis:user:hunter2@redis',
    'http://redis:6379',
    'unix:///run/redis.sock',
    'redis:6379',
    'redis.example.com:6379',
    '',
  ])('does not take the address %s, and does not repeat it', (address) => {
    const found = problems({ engine: 'redis', url: address });
    expect(found.join()).toMatch(/^url: /);
    expect(found.join()).not.toContain('hunter2');
  });

  test.each<[string, object, string]>([
    ['an unknown engine', { engine: 'etcd' }, 'engine: '],
    ['an unknown key', { passwords: 'x' }, ': Unrecognized key: "passwords"'],
    ['a file with Redis', { file: 'control.db' }, ': Unrecognized key: "file"'],
    [
      'a password in two places',
      { passwordFile: 'a', passwordEnv: 'b' },
      'passwordFile: give passwordEnv or passwordFile, not both',
    ],
    ['a password itself', { password: 'hunter2' }, ': Unrecognized key: "password"'],
    ['a user without a password', { username: 'gate' }, 'username: needs passwordEnv or passwordFile'],
    ['a prefix with a brace', { prefix: 'a}b' }, 'prefix: must be'],
    ['a prefix with a pattern', { prefix: 'a*' }, 'prefix: must be'],
    ['an empty prefix', { prefix: '' }, 'prefix: must be'],
    ['a negative database', { database: -1 }, 'database: '],
    ['no time at all', { timeoutMs: 0 }, 'timeoutMs: '],
    ['more time than a caller waits', { timeoutMs: 60_000 }, 'timeoutMs: '],
  ])('does not take %s', (_, part, problem) => {
    expect(problems({ engine: 'redis', url, ...part }).join('\n')).toContain(problem);
  });

  test('does not take a CA for an address without TLS, where it would check nothing', () => {
    expect(problems({ engine: 'redis', url: 'redis://redis', caFile: 'ca.pem' })).toEqual([
      'caFile: is for rediss:// only',
    ]);
    expect(problems({ engine: 'redis', url, caFile: 'ca.pem' })).toEqual([]);
  });

  test('does not take Redis’s options for SQLite', () => {
    expect(problems({ url })).toEqual([': Unrecognized key: "url"']);
  });
});
