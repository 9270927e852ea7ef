import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { listenForRedirect } from '../../../../src/commands/login/redirect.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** Asks at one address, by the name in the URI, as a browser does that has resolved it. */
async function ask(uri: string, address: string): Promise<number | undefined> {
  const { port, host, pathname } = new URL(uri);
  const sent = request({
    host: address,
    port,
    path: `${pathname}?state=s&code=c`,
    headers: { host },
    agent: false,
  }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  return response.statusCode;
}

describe('the redirect address', () => {
  it.runIf(hasIpv6)('localhost is answered at 127.0.0.1 and at [::1], once', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const redirect = await listenForRedirect('s', 'http://localhost/callback');
      const asked = ask(redirect.uri, address);
      const answer = await redirect.answer;
      await answer.show({ ok: true, title: 'Signed in', text: '' });
      expect([await asked, answer.url.host]).toEqual([200, new URL(redirect.uri).host]);
      const other = address === '::1' ? '127.0.0.1' : '::1';
      expect(await ask(redirect.uri, other)).toBe(400);
      await redirect.close();
      await expect(ask(redirect.uri, other)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  it.runIf(hasIpv6)('localhost is not used while another program has its port at [::1]', async () => {
    const other = createServer().listen(0, '::1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(listenForRedirect('s', `http://localhost:${port}/callback`)).rejects.toThrow(
      `Port ${port}, where the browser was to answer, cannot be used at ::1 (EADDRINUSE).`,
    );
    // Nothing is left at the other address.
    await expect(ask(`http://localhost:${port}/`, '127.0.0.1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    other.close();
  });

  it.runIf(hasIpv6)('[::1] is listened on alone where it is named', async () => {
    const redirect = await listenForRedirect('s', 'http://[::1]/callback');
    await expect(ask(redirect.uri, '127.0.0.1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await ask(redirect.uri.replace('/callback', '/'), '::1')).toBe(404);
    await redirect.close();
  });

  it.each(['http://0.0.0.0/callback', 'http://[::]/callback', 'http://constructor/callback'])(
    '%s is refused',
    async (uri) => {
      await expect(listenForRedirect('s', uri)).rejects.toThrow('is no address on this machine');
    },
  );
});
