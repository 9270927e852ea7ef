/**
 * What identity costs: a token that is seen for the first time, one that was seen before, a flood of made-up key ids, and
 * the memory of very many tokens. No Envoy: the identifier alone. Every answer that is timed is asserted.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Proof } from '../src/identity/caller.ts';
import { identitySection, type ProviderConfig } from '../src/identity/config.ts';
import { createGroupsReader } from '../src/identity/groups/reader.ts';
import { createIdentifier, type TokenIdentifier } from '../src/identity/identifier.ts';
import type { Revocations } from '../src/identity/issued/issued.ts';
import { providerHttp } from '../src/identity/provider-http.ts';
import { quantile } from './load.ts';

type Report = (title: string, rows: readonly object[]) => void;

const algorithms = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};
type Algorithm = keyof typeof algorithms;

const issuer = 'https://id.example.com';
const audience = 'gateway';

interface Signer {
  readonly jwk: object;
  token(subject: string, more?: { readonly kid?: string; readonly iss?: string }): string;
}

function signerOf(alg: Algorithm): Signer {
  const { privateKey, publicKey } = algorithms[alg]();
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), alg, kid: alg, use: 'sig' },
    token(sub, { kid = alg, iss = issuer } = {}) {
      const iat = Math.floor(Date.now() / 1000);
      const claims = { iss, aud: audience, sub, iat, exp: iat + 3600, jti: sub, groups: ['ml-eng', 'pii-cleared'] };
      const input = `${encode({ alg, kid, typ: 'at+jwt' })}.${encode({ ...claims, email: `${sub}@example.com` })}`;
      return `${input}.${signatureOf(alg, privateKey, input)}`;
    },
  };
}

function signatureOf(alg: Algorithm, key: KeyObject, input: string): string {
  const digest = alg === 'EdDSA' ? null : 'sha256';
  return sign(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

/** Revocations as the gateway asks them: three questions to sets in memory. */
const revocations = (): Revocations => {
  const [tokens, subjects] = [new Set<string>(), new Map<string, number>()];
  return {
    check: ({ provider, subject, issuedAtMs, tokenId }) =>
      (tokenId !== undefined && tokens.has(tokenId)) || issuedAtMs < (subjects.get(`${provider}/${subject}`) ?? 0)
        ? 'revoked'
        : undefined,
    revokeToken: async (tokenId) => void tokens.add(tokenId),
    revokeSubject: async (provider, subject) => void subjects.set(`${provider}/${subject}`, Date.now()),
  };
};

function identifierOf(provider: object, more: object = {}, now: () => number = Date.now): TokenIdentifier {
  const config = identitySection.parse({
    providers: [{ name: 'corp', issuer, audience, algorithms: Object.keys(algorithms), ...provider }],
    teams: [{ name: 'ml', groups: ['ml-eng'] }],
    ...more,
  });
  const readSecret = () => Promise.reject(new Error('there are no secrets here'));
  const groupsOf = (of: ProviderConfig) => createGroupsReader(of, { http: providerHttp(of), now, readSecret });
  return createIdentifier(config, { now, httpFor: providerHttp, groupsOf, revocations: revocations() });
}

const proofOf = (token: string): Proof => ({ token, peer: '', jwtAuthn: undefined });

/** @returns milliseconds until the token was accepted as its subject's. */
async function accepted(identifier: TokenIdentifier, token: string, subject: string): Promise<number> {
  const before = performance.now();
  const answer = await identifier.identify(proofOf(token));
  const took = performance.now() - before;
  assert.ok(answer.ok && answer.caller.subject === subject && answer.caller.team === 'ml');
  return took;
}

const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b);
const us = (ms: number): string => (ms * 1000).toFixed(1);

async function cold(identifier: TokenIdentifier, signers: Readonly<Record<Algorithm, Signer>>): Promise<object[]> {
  const count = 1_500;
  const rows: object[] = [];
  for (const [alg, signer] of Object.entries(signers)) {
    const names = Array.from({ length: count }, (_, i) => `${alg}-${i}`);
    const tokens = names.map((name) => signer.token(name));
    const took: number[] = [];
    for (const [i, token] of tokens.entries()) took.push(await accepted(identifier, token, names[i] ?? ''));
    const after = sorted(took.slice(count / 3));
    rows.push({ algorithm: alg, 'p50 µs': us(quantile(after, 0.5)), 'p99 µs': us(quantile(after, 0.99)) });
  }
  return rows;
}

async function warm(identifier: TokenIdentifier, signer: Signer): Promise<object[]> {
  const tokens = Array.from({ length: 200 }, (_, i) => signer.token(`warm-${i}`));
  for (const [i, token] of tokens.entries()) await accepted(identifier, token, `warm-${i}`);
  // Each request has its own string: a digest must not be kept with it.
  const copies = () => tokens.map((token) => Buffer.from(token).toString('latin1'));
  const runs: number[] = [];
  for (let run = 0; run < 60; run += 1) {
    const proofs = copies().map(proofOf);
    const before = performance.now();
    for (let round = 0; round < 10; round += 1)
      for (const [i, proof] of proofs.entries()) {
        const answer = identifier.identify(proof);
        assert.ok(!(answer instanceof Promise) && answer.ok && answer.caller.subject === `warm-${i}`);
      }
    runs.push((performance.now() - before) / (10 * proofs.length));
  }
  const all = sorted(runs.slice(20));
  return [{ 'median µs': us(quantile(all, 0.5)), 'worst of 40 runs µs': us(all.at(-1) ?? 0), 'aim µs': '≤ 5' }];
}

/** Other callers, one every 2 ms for a second, each with a token that is new: what they wait, from when they came. */
async function others(identifier: TokenIdentifier, tokens: ReadonlyMap<string, string>): Promise<readonly number[]> {
  const began = performance.now();
  const waits: Promise<number>[] = [];
  let due = began;
  for (const [subject, token] of tokens) {
    due += 2;
    if (performance.now() < due) await wait(Math.max(0, due - performance.now()));
    const cameLate = performance.now() - due;
    waits.push(accepted(identifier, token, subject).then((took) => took + Math.max(0, cameLate)));
  }
  return sorted(await Promise.all(waits));
}

async function flood(signer: Signer): Promise<object[]> {
  let fetches = 0;
  const server = createServer((_req, res) => {
    fetches += 1;
    setTimeout(() => res.end(JSON.stringify({ keys: [signer.jwk] })), 50);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const iss = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    let laterMs = 0;
    const now = () => Date.now() + laterMs;
    const identifier = identifierOf({ issuer: iss, jwksUri: `${iss}/jwks` }, {}, now);
    const fresh = (name: string) =>
      new Map(Array.from({ length: 500 }, (_, i) => [`${name}-${i}`, signer.token(`${name}-${i}`, { iss })]));
    await others(identifier, fresh('first'));
    const alone = await others(identifier, fresh('alone'));
    const [made, during] = [
      Array.from({ length: 10_000 }, () => signer.token('x', { iss, kid: randomUUID() })),
      fresh('during'),
    ];
    // The cooldown since the first fetch is over.
    laterMs = 30_000;
    const before = fetches;
    const meanwhile = others(identifier, during);
    const answers = [];
    for (let at = 0; at < made.length; at += 100) {
      answers.push(...made.slice(at, at + 100).map((token) => identifier.identify(proofOf(token))));
      await wait(10);
    }
    for (const answer of await Promise.all(answers)) assert.ok(!answer.ok && answer.reason === 'token_invalid');
    const flooded = await meanwhile;
    assert.equal(fetches - before, 1);
    const row = (what: string, waits: readonly number[], more: object) => ({
      'other callers, new tokens': what,
      'p50 ms': quantile(waits, 0.5).toFixed(2),
      'p99 ms': quantile(waits, 0.99).toFixed(2),
      ...more,
    });
    return [
      row('alone', alone, {}),
      row('beside 10,000 random key ids', flooded, { 'JWKS fetches': fetches - before }),
    ];
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

async function memory(keysFile: string, signer: Signer): Promise<object[]> {
  const [kept, count] = [10_000, 100_000];
  const identifier = identifierOf({ keys: { file: keysFile } }, { tokenCacheEntries: kept });
  await accepted(identifier, signer.token('before'), 'before');
  const before = heapBytes();
  let full = 0;
  for (let i = 1; i <= count; i += 1) {
    await accepted(identifier, signer.token(`caller-${i}`), `caller-${i}`);
    if (i === 2 * kept) full = heapBytes();
  }
  const after = heapBytes();
  const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  assert.ok(
    after - full < 0.2 * (full - before) + 2 * 1024 * 1024,
    `grows beyond ${kept} tokens: ${mb(after - full)} MB`,
  );
  return [
    {
      'distinct tokens': count,
      'kept at most': kept,
      'heap with the cache full MB': mb(full - before),
      'at the end MB': mb(after - before),
      'bytes a token': Math.round((full - before) / kept),
    },
  ];
}

/** @param report Prints a table. */
export async function identity(report: Report): Promise<object> {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  try {
    const signers = { ES256: signerOf('ES256'), RS256: signerOf('RS256'), EdDSA: signerOf('EdDSA') };
    const file = join(dir, 'jwks.json');
    await writeFile(file, JSON.stringify({ keys: Object.values(signers).map(({ jwk }) => jwk) }));
    const identifier = identifierOf({ keys: { file } });
    const results: Record<string, readonly object[]> = {};
    const run = async (name: string, title: string, part: () => Promise<object[]>) => {
      results[name] = await part();
      report(title, results[name]);
    };
    await run('cold', 'identity: a token that is seen for the first time', () => cold(identifier, signers));
    await run('warm', 'identity: a token that was seen before', () => warm(identifier, signers.RS256));
    await run('flood', 'identity: 10,000 random key ids in a second', () => flood(signers.ES256));
    await run('memory', 'identity: memory', () => memory(file, signers.EdDSA));
    return results;
  } finally {
    await rm(dir, { recursive: true });
  }
}
