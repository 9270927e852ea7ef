import { describe, expect, test } from 'vitest';
import { identitySection } from '../../../src/identity/config.ts';
import { createPeers } from '../../../src/identity/peers.ts';
import { teamOf } from '../../../src/identity/teams.ts';

const provider = { name: 'corp', issuer: 'https://id.test', audience: 'a', algorithms: ['ES256'] };
const configOf = (more: object) => identitySection.parse({ providers: [provider], ...more });
const passes = (allow: string, uri: string) => createPeers(configOf({ peers: { allow: [allow] } }))(uri)?.ok;

describe('an mTLS peer', () => {
  test.each<[string, string, boolean]>([
    ['spiffe://a.test/ns/x/sa/y', 'spiffe://a.test/ns/x/sa/y', true],
    ['spiffe://a.test/ns/x/sa/y', 'spiffe://a.test/ns/x/sa/yy', false],
    ['spiffe://a.test/ns/x/sa/y', 'spiffe://a.test/ns/x/sa/y/', false],
    ['spiffe://a.test/ns/x/sa/y', 'spiffe://b.test/ns/x/sa/y', false],
    ['spiffe://a.test/ns/x/sa/y', 'spiffe://a.test/ns/x/sa/Y', false],
    ['spiffe://a.test/ns/x/sa/y', 'SPIFFE://a.test/ns/x/sa/y', false],
    ['spiffe://a.test/ns/*/sa/y', 'spiffe://a.test/ns/x/sa/y', true],
    ['spiffe://a.test/ns/*/sa/y', 'spiffe://a.test/ns/sa/y', false],
    ['spiffe://a.test/ns/*/sa/y', 'spiffe://a.test/ns/x/x/sa/y', false],
    ['spiffe://a.test/ns/*', 'spiffe://a.test/ns/x/sa/y', false],
    ['spiffe://a.test/ns/x/**', 'spiffe://a.test/ns/x/sa/y', true],
    ['spiffe://a.test/ns/x/**', 'spiffe://a.test/ns/x', true],
    ['spiffe://a.test/ns/x/**', 'spiffe://a.test/ns/xx/sa/y', false],
    ['spiffe://a.test/**', 'spiffe://a.test', true],
    ['spiffe://a.test/**', 'spiffe://a.test.evil/x', false],
    ['spiffe://a.test/**', 'spiffe://evil@a.test/x', false],
    ['spiffe://a.test/**', 'spiffe://a.test/ns/../x', false],
    ['spiffe://a.test/**', 'spiffe://a.test/./x', false],
    ['spiffe://a.test/**', 'spiffe://a.test//x', false],
    ['spiffe://a.test/**', 'spiffe://a.test/%2e%2e/x', false],
    ['spiffe://a.test/**', 'spiffe://a.test/x?y', false],
    ['spiffe://a.test/**', 'spiffe://a.test/x\n', false],
    ['spiffe://a.test/**', `spiffe://a.test/${'x'.repeat(2048)}`, false],
    ['spiffe://a.test/**', 'https://a.test/x', false],
    ['spiffe://a.test/**', 'a.test', false],
    ['spiffe://a.test/ns/x', 'spiffe://a.test/ns/*', false],
  ])('that %s allows: %s is %s', (allow, uri, expected) => {
    expect(passes(allow, uri)).toBe(expected);
  });

  test('is a caller of the provider mesh, named by its SPIFFE id, in the team that names it', () => {
    const uri = 'spiffe://cluster.local/ns/batch/sa/nightly';
    const teams = [{ name: 'data', subjects: [`mesh/${uri}`] }];
    expect(createPeers(configOf({ peers: { allow: [uri] }, teams }))(uri)).toEqual({
      ok: true,
      caller: {
        provider: 'mesh',
        issuer: 'cluster.local',
        subject: uri,
        kind: 'peer',
        email: undefined,
        groups: [],
        team: 'data',
        claims: {},
        proof: 'peer',
        tokenId: undefined,
        issuedAtMs: 0,
        expiresAtMs: Date.UTC(9999, 11, 31, 23, 59, 59),
      },
    });
  });

  test('is told why it may not call without a token, unless no peer may', () => {
    const peerOf = createPeers(configOf({ peers: { allow: ['spiffe://a.test/x'] } }));
    expect(peerOf('spiffe://a.test/y')).toMatchObject({ ok: false, reason: 'token_missing' });
    expect(createPeers(configOf({}))('spiffe://a.test/y')).toBeUndefined();
  });

  test.each([
    'spiffe://a.test/**/x',
    'spiffe://a.test/x*',
    'spiffe://A.test/x',
    'a.test/x',
    'spiffe://a.test/x/',
    '*',
    '',
  ])('cannot be allowed by "%s"', (allow) => {
    expect(identitySection.safeParse({ providers: [provider], peers: { allow: [allow] } }).success).toBe(false);
  });
});

describe('a team', () => {
  const { teams } = configOf({
    teams: [
      { name: 'security', subjects: ['corp/jane', 'partner/a/b'] },
      { name: 'ml', groups: ['ml-eng', 'ml-ops'] },
      { name: 'all', groups: ['staff', 'ml-eng'] },
    ],
  });
  test.each<[string, string, string[], string | undefined]>([
    ['corp', 'jane', [], 'security'],
    ['corp', 'jane', ['ml-eng'], 'security'],
    ['partner', 'jane', ['ml-eng'], 'ml'],
    ['partner', 'a/b', [], 'security'],
    ['corp', 'sam', ['staff', 'ml-ops'], 'ml'],
    ['corp', 'sam', ['staff'], 'all'],
    ['corp', 'Jane', ['ML-ENG'], undefined],
    ['corp', 'sam', [], undefined],
  ])('of %s/%s with %j is %s', (name, subject, groups, team) => {
    expect(teamOf(teams, { provider: name, subject, groups })).toBe(team);
  });
});
