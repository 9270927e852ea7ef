/** Two gateways, each behind an Envoy of its own, that share their control state in Redis. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { type SamlIdp, startSamlIdp } from '../support/saml-idp.ts';
import { chat } from './support/ask.ts';
import { eventually, freePort, type Stack, startStack } from './support/stack.ts';

const grantType = (name: string) => `urn:ietf:params:oauth:grant-type:${name}`;

describe.skipIf(redisBinary === undefined)(
  'replicas that share Redis (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)',
  () => {
    let redis: RedisServer;
    let idp: SamlIdp;
    let one: Stack;
    let two: Stack;
    let publicUrl = '';

    beforeAll(async () => {
      redis = await startRedis();
      idp = await startSamlIdp({
        people: { ada: { nameId: 'ada-1', attributes: { email: ['ada@corp.test'], groups: ['ml-eng'] } } },
      });
      publicUrl = `http://127.0.0.1:${await freePort()}`;
      const start = async () =>
        startStack({
          config: { publicUrl, state: { engine: 'redis', url: redis.url, timeoutMs: 500 } },
          identity: {
            saml: [{ name: 'sso', entityId: idp.entityId, idp: { metadataUrl: idp.metadataUrl } }],
            tokens: { revocationMaxAgeSeconds: 2 },
          },
        });
      one = await start();
      two = await start();
    });
    afterAll(async () => {
      await one?.close();
      await two?.close();
      await idp?.close();
      await redis?.stop();
    });

    const tokenAt = (stack: Stack, form: Record<string, string>, path = '/oauth/token') =>
      fetch(`${stack.gateway.addresses['public']}${path}`, { method: 'POST', body: new URLSearchParams(form) });
    const assertion = () => {
      const endpoint = `${publicUrl}/oauth/token`;
      const text = idp.assertion('ada', { audience: endpoint, recipient: endpoint });
      return { grant_type: grantType('saml2-bearer'), assertion: text };
    };
    const tokenIn = async (response: Response) => ((await response.json()) as { access_token: string }).access_token;
    const ask = async (stack: Stack, token: string) => {
      const response = await fetch(`${stack.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(chat),
      });
      const body = (await response.json()) as { error?: { code: string } };
      return body.error?.code ?? response.status;
    };

    test('take an assertion once, at whichever of them', async () => {
      const form = assertion();
      expect((await tokenAt(one, form)).status).toBe(200);
      const again = await tokenAt(two, form);
      expect([again.status, await again.json()]).toMatchObject([400, { error: 'invalid_grant' }]);
    });

    test('take each other’s tokens', async () => {
      const token = await tokenIn(await tokenAt(one, assertion()));
      expect([await ask(one, token), await ask(two, token)]).toEqual([200, 200]);
    });

    test('refuse within seconds what was taken back at the other, the one that has verified it before included', async () => {
      const token = await tokenIn(await tokenAt(one, assertion()));
      expect(await ask(two, token)).toBe(200);
      expect((await tokenAt(one, { token }, '/oauth/revoke')).status).toBe(200);
      expect(await ask(one, token)).toBe('token_revoked');
      await eventually(
        async () => ((await ask(two, token)) === 'token_revoked' ? true : undefined),
        'the other replica refuses it',
      );
    });

    test('close when Redis is gone: first for new credentials, then for requests, and open again by themselves', async () => {
      const token = await tokenIn(await tokenAt(one, assertion()));
      await redis.kill();
      const form = assertion();
      const refused = await tokenAt(one, form);
      expect([refused.status, await refused.json()]).toMatchObject([503, { error: 'temporarily_unavailable' }]);
      await eventually(
        async () => ((await ask(two, token)) === 'state_unavailable' ? true : undefined),
        'the gate is closed',
      );
      expect(two.model.arrived.length).toBeGreaterThan(0);
      const before = two.model.arrived.length;
      expect(await ask(two, await two.token('jane'))).toBe('state_unavailable');
      expect(two.model.arrived.length).toBe(before);
      await redis.restart();
      await eventually(
        async () => ((await ask(two, await two.token('jane'))) === 200 ? true : undefined),
        'the gate is open',
      );
    });
  },
);
