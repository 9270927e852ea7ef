import { describe, expect, test } from 'vitest';
import { identitySection } from '../../../src/identity/config.ts';

const good = { name: 'corp', issuer: 'https://id.example.com', audience: 'gateway', algorithms: ['RS256'] };

function problemsOf(section: unknown): string[] {
  const result = identitySection.safeParse(section);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}

test('a provider needs a name, an issuer, an audience and algorithms, and has defaults for the rest', () => {
  expect(problemsOf({ providers: [good] })).toEqual([]);
  expect(identitySection.parse({ providers: [good] })).toMatchObject({
    tokenCacheEntries: 10_000,
    teams: [],
    providers: [
      {
        tokenType: 'at+jwt',
        groups: { source: 'claim', claims: ['groups'], required: true },
        emailClaim: 'email',
        leewaySeconds: 30,
        keys: { cooldownSeconds: 30, maxAgeSeconds: 3600 },
      },
    ],
  });
});

test('mTLS peers are enough, without any provider', () => {
  expect(problemsOf({ peers: { allow: ['spiffe://cluster.local/ns/batch/sa/*'] } })).toEqual([]);
  expect(problemsOf({ peers: { allow: [] } })).toEqual([
    'providers: must have a provider (or one in `saml`, or `peers.allow`)',
  ]);
});

describe('the gateway refuses to start', () => {
  test.each(['name', 'issuer', 'audience', 'algorithms'])('without %s', (option) => {
    const provider: Record<string, unknown> = { ...good };
    delete provider[option];
    expect(problemsOf({ providers: [provider] })[0]).toMatch(new RegExp(`^providers\\.0\\.${option}: `));
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['an empty audience', { audience: '' }, 'providers.0.audience'],
    ['no audience in the list', { audience: [] }, 'providers.0.audience'],
    ['no algorithm', { algorithms: [] }, 'providers.0.algorithms'],
    ['algorithm none', { algorithms: ['none'] }, 'providers.0.algorithms.0'],
    ['a symmetric algorithm', { algorithms: ['RS256', 'HS256'] }, 'providers.0.algorithms.1'],
    ['an issuer in the clear', { issuer: 'http://id.example.com' }, 'providers.0.issuer'],
    ['an issuer with a password', { issuer: 'https://u:p@id.example.com' }, 'providers.0.issuer'],
    ['an issuer that is no URL', { issuer: 'id.example.com' }, 'providers.0.issuer'],
    ['keys in the clear', { jwksUri: 'http://id.example.com/jwks' }, 'providers.0.jwksUri'],
    ['a leeway of an hour', { leewaySeconds: 3600 }, 'providers.0.leewaySeconds'],
    [
      'keys that are due after they are too old',
      { keys: { refreshAfterSeconds: 10, maxAgeSeconds: 5 } },
      'providers.0.keys',
    ],
    ['a misspelled option', { audiance: 'x' }, 'providers.0'],
  ])('with %s', (_what, change, path) => {
    expect(problemsOf({ providers: [{ ...good, ...change }] })[0]).toMatch(
      new RegExp(`^${path.replaceAll('.', '\\.')}: `),
    );
  });

  test('without any provider, with two of one name or issuer, or with two teams of one name', () => {
    expect(problemsOf({ providers: [] })).toHaveLength(1);
    expect(problemsOf({ providers: [good, good] })).toEqual([
      'providers.1.name: the name "corp" is there twice',
      'providers.1.issuer: the issuer "https://id.example.com" is there twice',
    ]);
    const teams = [
      { name: 'a', groups: ['x'] },
      { name: 'a', groups: ['y'] },
    ];
    expect(problemsOf({ providers: [good], teams })).toEqual(['teams.1.name: the name "a" is there twice']);
  });

  test('with a provider of the reserved name, or two issuers that differ in the slash at their end', () => {
    expect(problemsOf({ providers: [{ ...good, name: 'mesh' }] })).toEqual([
      'providers.0.name: "mesh" is reserved for mTLS peers',
    ]);
    expect(problemsOf({ providers: [good, { ...good, name: 'b', issuer: `${good.issuer}/` }] })).toEqual([
      'providers.1.issuer: the issuer "https://id.example.com/" differs from "https://id.example.com" in the slash at its end only: keep the one that tokens say',
    ]);
  });

  test('with two providers that say no issuer, once for each', () => {
    const { issuer: _, ...without } = good;
    expect(problemsOf({ providers: [without, { ...without, name: 'b' }] })).toEqual([
      'providers.0.issuer: is missing',
      'providers.1.issuer: is missing',
    ]);
  });

  test('with metadata of a SAML provider from a file and from an unsafe URL, which are two problems', () => {
    const idp = { metadataFile: 'idp.xml', metadataUrl: 'http://idp.test/metadata' };
    const saml = [{ name: 's', entityId: 'https://idp.test', idp }];
    expect(problemsOf({ saml })).toEqual([
      'saml.0.idp.metadataUrl: must be an https URL (http only on the loopback), without user or fragment',
      'saml.0.idp: must have either metadataFile or metadataUrl',
    ]);
  });
});
