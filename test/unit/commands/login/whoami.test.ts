import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { askWhoami } from '../../../../src/commands/login/whoami.ts';

/** Asks somebody who gives this one answer. */
async function ask(status: number, body: string) {
  const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    return await askWhoami({ name: 'The gateway', url }, 'a.b.c').catch((error: unknown) => error);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const refusal = (code: string, error_description?: string) => JSON.stringify({ error: { code }, error_description });

describe('what whoami says when the gateway does not answer who one is', () => {
  it.each([
    [
      401,
      refusal('token_revoked', 'It has been taken back.'),
      'The gateway refuses this token (token_revoked): It has been taken back.',
      'Run `sallyport login`.',
    ],
    [401, '{"error":"invalid_token"}', 'The gateway refuses this token (status 401).', 'Run `sallyport login`.'],
    [
      503,
      refusal('state_unavailable', 'Not known.'),
      'The gateway does not say whose token it is (state_unavailable): Not known.',
      'Try again',
    ],
    [404, 'Not found', 'The gateway does not say whose token it is (status 404).', 'Check that '],
    [500, '[]', 'The gateway does not say whose token it is (status 500).', 'Check that '],
    [200, '{"provider":1}', 'The gateway does not say whose token it is (status 200).', 'Check that '],
  ])('%i %s', async (status, body, message, remedy) => {
    expect(await ask(status, body)).toMatchObject({ exitCode: 1, message, remedy: expect.stringContaining(remedy) });
  });
});
