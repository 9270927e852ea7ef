/** Who may use a real Redis, and over what: users, passwords, TLS. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { StateUnavailable } from '../../src/state/store.ts';
import { redisBinary } from '../support/redis-server.ts';
import { createAuthority } from './support/certificates.ts';
import { nobody, redisCases } from './support/redis-cases.ts';

const suite = describe.skipIf(redisBinary === undefined);

suite('access to Redis (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  const cases = redisCases();
  const { open, raw, listening, ready, notReady, failure } = cases;

  describe('a user and a password', () => {
    /** What docs/operations.md tells the operator to give. */
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8');
    const [, documented = ''] = /^ACL SETUSER sallyport (.*)$/m.exec(page) ?? [];
    const acl = documented.replace('PASSWORD', 'right').replace('{sallyport:}', '{test:}');
    const secret = (password: string | undefined) => async () => ({ password, ca: undefined });
    const user = async (rules = acl) => (await raw()).aclSetUser('gate', rules.split(' '));

    test('with the rights of the documentation can do everything', async () => {
      await user();
      const store = await open({ username: 'gate', secrets: secret('right') });
      expect(await store.putIfAbsent('a', '1', { expiresAtMs: Date.now() + 60_000 })).toBe(true);
      const { version } = (await store.get('a'))!;
      expect(await store.replace('a', version, '2')).toMatchObject({ ok: true });
      expect(await store.list('', { limit: 10 })).toHaveLength(1);
      expect(await store.remove('a', (await store.get('a'))!.version)).toBe(true);
      expect(await store.deleteExpired(10)).toBe(0);
      expect(store.health()).toMatchObject({ ready: true, detail: expect.stringMatching(/^(Redis|Valkey) \d/) });
    });

    test.each<[string, string, string | undefined, string, string]>([
      ['the password is wrong', 'gate', 'wrong', acl, 'it refuses the user or the password (WRONGPASS)'],
      ['the user is unknown', 'other', 'right', acl, 'it refuses the user or the password (WRONGPASS)'],
      ['it may not ask for the role', 'gate', 'right', `${acl} -info`, 'the user lacks a permission (NOPERM)'],
      ['it may not write', 'gate', 'right', `${acl} -set`, 'the user lacks a permission (NOPERM)'],
      ['it may not run scripts', 'gate', 'right', `${acl} -evalsha -eval`, 'the user lacks a permission (NOPERM)'],
    ])(
      'are refused at once where %s, and the password is told to nobody',
      async (_, username, password, rules, message) => {
        await user(rules);
        const result = await failure(open({ username, secrets: secret(password), patienceMs: 60_000 }));
        expect(result.message).toBe(`Redis: ${message}`);
        expect(result.ms).toBeLessThan(5_000);
        expect(result.message).not.toContain(password);
      },
    );

    test('are needed where the server asks for them', async () => {
      await (await raw()).configSet('requirepass', 'right');
      const { message } = await failure(open({ patienceMs: 60_000 }));
      expect(message).toBe('Redis: it asks for a password (NOAUTH)');
      await open({ secrets: secret('right') });
    });

    test('may change: the new one is taken for the next connection', async () => {
      const client = await raw();
      await client.configSet('requirepass', 'first');
      let password = 'first';
      const store = await open({ secrets: async () => ({ password, ca: undefined }) });
      await client.configSet('requirepass', 'second');
      await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
      await notReady(store, /WRONGPASS/);
      password = 'second';
      await ready(store);
      expect(await store.putIfAbsent('a', '1')).toBe(true);
    });

    test('whose file cannot be read makes a new connection fail, with the option’s name', async () => {
      let isThere = true;
      const secrets = async () => {
        if (!isThere) throw new StateUnavailable('state.passwordFile cannot be read (ENOENT)');
        return nobody;
      };
      const store = await open({ secrets });
      isThere = false;
      await cases.server.restart();
      await notReady(store, /state\.passwordFile cannot be read \(ENOENT\)/);
    });
  });

  describe('TLS', () => {
    const authority = createAuthority('test CA');
    /** TLS in front of the server: not every build of Redis has its own. */
    const tls = async (names: readonly string[], by = authority) => {
      const { cert, key } = by.issue('redis', { dns: names });
      const front = createTlsServer({ cert, key }, (incoming) => {
        const outgoing = connect(cases.server.port, '127.0.0.1');
        incoming.on('error', () => outgoing.destroy()).pipe(outgoing);
        outgoing.on('error', () => incoming.destroy()).pipe(incoming);
      });
      front.on('tlsClientError', () => {});
      return listening(front);
    };
    const trusting = (ca: string | undefined) => async () => ({ password: undefined, ca });

    test('is used with rediss://, and the certificate is checked against caFile', async () => {
      const port = await tls(['localhost']);
      const store = await open({ url: `rediss://localhost:${port}`, secrets: trusting(authority.cert) });
      expect(await store.putIfAbsent('a', '1')).toBe(true);
      await store.close();
    });

    test.each<[string, readonly string[], string | undefined, RegExp]>([
      ['of an authority that we do not know', ['localhost'], undefined, /UNABLE_TO|SELF_SIGNED/],
      ['of another authority', ['localhost'], createAuthority('test CA').cert, /UNABLE_TO|SELF_SIGNED|CERT_/],
      ['for another name', ['redis.example.com'], authority.cert, /ERR_TLS_CERT_ALTNAME_INVALID/],
    ])('with a certificate %s is refused', async (_, names, ca, reason) => {
      const port = await tls(names);
      const options = { url: `rediss://localhost:${port}`, secrets: trusting(ca), patienceMs: 60_000 };
      expect((await failure(open(options))).message).toMatch(reason);
    });

    test('is not left out where the server speaks none, and not added where it speaks nothing else', async () => {
      await failure(open({ url: `rediss://localhost:${cases.server.port}`, secrets: trusting(authority.cert) }));
      const port = await tls(['localhost']);
      await failure(open({ url: `redis://localhost:${port}` }));
    });
  });
});
