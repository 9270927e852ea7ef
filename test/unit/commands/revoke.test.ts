import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { revokeCommand } from '../../../src/commands/revoke.ts';
import { createAdminApp, type Revocation, type Revoker, readerHeader } from '../../../src/console/admin.ts';
import { type Listening, listenUnix } from '../../../src/console/listen.ts';
import { MemoryArchive } from '../console/archive.ts';
import { project, run } from './run.ts';

const { folder, file, stateDir } = project();
const cli = (...args: string[]) => run([revokeCommand], ['revoke', ...args, '--config', file]);

/** Keeps what it was told, or fails as a test wants. */
class MemoryRevoker implements Revoker {
  readonly revoked: (readonly [Revocation, string])[] = [];
  outcome: 'recorded' | 'unrecorded' | 'unknown' | 'lost' = 'recorded';
  async revoke(what: Revocation, reader: string) {
    if (this.outcome === 'lost') throw new Error('secret path /var/lib');
    if (this.outcome === 'unknown') return { ok: false, code: 'unknown_provider' } as const;
    this.revoked.push([what, reader]);
    const recorded = this.outcome === 'recorded' ? Promise.resolve() : Promise.reject(new Error('full'));
    return { ok: true, recorded } as const;
  }
}

let revoker: MemoryRevoker;
let socket: Listening;
beforeEach(async () => {
  revoker = new MemoryRevoker();
  socket = await listenUnix(createAdminApp(new MemoryArchive([]), revoker), join(stateDir, 'admin.sock'));
});
afterEach(() => socket.close());
afterAll(() => rmSync(folder, { recursive: true }));

describe('sallyport revoke', () => {
  it.each([
    [['--token-id', '9fJb2mQm3dUu0yJc5v1kXw'], { tokenId: '9fJb2mQm3dUu0yJc5v1kXw' }],
    [['--subject', 'corp/jane@example.com'], { provider: 'corp', subject: 'jane@example.com' }],
    [['--subject', 'mesh/spiffe://a/ns/b'], { provider: 'mesh', subject: 'spiffe://a/ns/b' }],
  ])('%j takes that back, says who did, and that it is not looked up', async (args, what) => {
    const { code, stderr, stdout } = await cli(...args);
    expect([code, stderr, revoker.revoked]).toEqual([0, '', [[what, 'ann']]]);
    expect(stdout).toMatch(/taken back: refused from now on[\s\S]* is not checked: /);
  });

  it('of a subject says, like its help, that the sign-in at the provider goes on', async () => {
    for (const args of [['--subject', 'corp/jane'], ['--help']])
      expect((await cli(...args)).stdout).toMatch(/ends no sign-in at the identity provider[\s\S]*refresh token/);
    expect((await cli('--subject', 'mesh/spiffe://a/b')).stdout).not.toContain('sign-in');
  });

  it('writes a subject without what would command a terminal', async () => {
    expect((await cli('--subject', 'corp/\u001b[2Jx')).stdout).toContain('corp/\\x1b[2Jx');
  });

  it.each([
    'x',
    '',
    '9fJb2mQm3dUu0yJc5v1kX',
    '9fJb2mQm3dUu0yJc5v1kXww',
    '9fJb2mQm3dUu0yJc5v1kX+',
    '9fJb2mQm3dUu0yJc5v1kX\n',
  ])('takes back no token with the id %j, which none has', async (id) => {
    const { code, stderr, stdout } = await cli('--token-id', id);
    expect([code, stdout, revoker.revoked]).toEqual([2, '', []]);
    expect(stderr).toContain('22 characters of base64url');
  });

  it.each([
    [[]],
    [['--subject', 'jane']],
    [['--subject', '/jane']],
    [['--subject', 'corp/']],
    [['--token-id', 'a', '--subject', 'b/c']],
  ])('with %j is a mistake of the command line', async (args) => {
    expect((await cli(...args)).code).toBe(2);
    expect(revoker.revoked).toEqual([]);
  });

  it.each([
    ['unknown', 2, 'No identity provider of this name'],
    ['unrecorded', 1, 'in force, but could not be put on the record'],
    ['lost', 1, 'control state does not take it'],
  ] as const)('says what is so when it is %s', async (outcome, exitCode, words) => {
    revoker.outcome = outcome;
    const { code, stderr } = await cli('--subject', 'corp/jane');
    expect([code, stderr]).toEqual([exitCode, expect.stringContaining(words)]);
    expect(stderr).not.toContain('/var/lib');
  });

  it('needs a gateway that runs', async () => {
    await socket.close();
    expect((await cli('--subject', 'corp/jane')).code).toBe(3);
  });
});

describe('POST /v1/revocations', () => {
  it.each([
    '{}',
    '[]',
    '{"tokenId":""}',
    '{"tokenId":"a b"}',
    '{"tokenId":"9fJb2mQm3dUu0yJc5v1kX"}',
    '{"tokenId":"9fJb2mQm3dUu0yJc5v1kX\\n"}',
    '{"provider":"corp"}',
    '{"tokenId":"9fJb2mQm3dUu0yJc5v1kXw","provider":"b","subject":"c"}',
    'x',
  ])('refuses %s', async (body) => {
    const app = createAdminApp(new MemoryArchive([]), revoker);
    const headers = { [readerHeader]: 'ann', 'content-type': 'application/json' };
    expect((await app.request('/v1/revocations', { method: 'POST', headers, body })).status).toBe(400);
    expect(revoker.revoked).toEqual([]);
  });

  it('of somebody unnamed is refused', async () => {
    const app = createAdminApp(new MemoryArchive([]), revoker);
    expect(
      (await app.request('/v1/revocations', { method: 'POST', body: '{"tokenId":"9fJb2mQm3dUu0yJc5v1kXw"}' })).status,
    ).toBe(400);
    expect(revoker.revoked).toEqual([]);
  });
});
