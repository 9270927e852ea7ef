/** What of a limit is given back when a request fails, and what of it is charged when a stream is left, behind a real Envoy. */
import http from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { ask } from './support/ask.ts';
import { type EnvoyConfig, eventually, freePort, type Stack, startStack } from './support/stack.ts';
import type { Handler } from './support/upstream.ts';

const policy = (limit: string) => ({
  'budgets.yaml': `apiVersion: sallyport/v1
kind: Policy
metadata: {name: budgets}
spec:
  rules:
    - {name: all, then: allow}
    - {name: per-person, then: limit, by: caller.subject, limits: [${limit}]}
`,
});

let stack: Stack | undefined;
afterEach(() => stack?.close());

/** Once so many sessions have ended, and what they had reserved is settled. */
async function ended(on: Stack, count: number): Promise<Record<string, unknown>> {
  return await eventually(async () => {
    const ends = (await on.journal()).filter((line) => line.kind === 'event' && line.event.type === 'end');
    const last = ends[count - 1];
    return last?.kind === 'event' ? last.event : undefined;
  }, `${count} sessions at their end`);
}

const modelCluster = ({ static_resources: { clusters } }: EnvoyConfig) => {
  const cluster = clusters.find(({ name }) => name === 'model_demo_1');
  if (cluster === undefined) throw new Error('no cluster of the model');
  return cluster;
};
const routeOf = ({ static_resources: { listeners } }: EnvoyConfig) => {
  const config = listeners[0]?.filter_chains[0]?.filters[0]?.typed_config.route_config as unknown as {
    virtual_hosts: { routes: { route?: Record<string, unknown> }[] }[];
  };
  return config.virtual_hosts.flatMap(({ routes }) =>
    routes.flatMap(({ route }) => (route === undefined ? [] : [route])),
  );
};

const plainTls = {
  name: 'envoy.transport_sockets.tls',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext' },
};

describe('a request that Envoy could not send is given back', () => {
  test.each<[string, { envoy?: (config: EnvoyConfig) => void; nobody?: boolean }]>([
    ['nobody listens', { nobody: true }],
    [
      'TLS that the model does not speak',
      {
        envoy: (config) => {
          modelCluster(config)['transport_socket'] = plainTls;
        },
      },
    ],
    [
      'no endpoint',
      {
        envoy: (config) => {
          modelCluster(config)['load_assignment'] = { cluster_name: 'model_demo_1', endpoints: [] };
        },
      },
    ],
    [
      'no room for another request',
      {
        envoy: (config) => {
          modelCluster(config)['circuit_breakers'] = { thresholds: [{ max_connections: 0, max_pending_requests: 0 }] };
        },
      },
    ],
  ])('%s', async (_, { envoy, nobody }) => {
    const on = await startStack({
      policies: policy('{requests: 1, per: 1d}'),
      ...(envoy === undefined ? {} : { envoy }),
      ...(nobody === true ? { modelPort: await freePort() } : {}),
    });
    stack = on;
    for (let i = 1; i <= 3; i++) {
      expect((await ask(on)).status).toBe(503);
      expect(await ended(on, i)).toMatchObject({ how: 'local_reply', code: 'model_unavailable' });
    }
    expect(on.model.arrived).toEqual([]);
  });
});

describe('a request that the model had is charged', () => {
  const never: Handler = () => {};
  test.each<[string, Handler, number, ((config: EnvoyConfig) => void)?]>([
    ['although it broke the connection', (_, response) => void response.destroy(), 503],
    [
      'although it took too long',
      never,
      504,
      (config) => {
        for (const route of routeOf(config)) route['max_stream_duration'] = { max_stream_duration: '1s' };
      },
    ],
  ])('%s', async (_, answer, status, envoy) => {
    const on = await startStack({
      policies: policy('{requests: 2, per: 1d}'),
      ...(envoy === undefined ? {} : { envoy }),
    });
    stack = on;
    on.model.answer = answer;
    for (let i = 1; i <= 2; i++) {
      expect((await ask(on)).status).toBe(status);
      expect(await ended(on, i)).toMatchObject({ how: 'local_reply' });
    }
    expect((await ask(on)).status).toBe(429);
    expect(on.model.arrived).toHaveLength(2);
  });
});

const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
const text = 'word '.repeat(800);

/** Begins a message and says a thousand tokens, and then nothing. */
const messages: Handler = (_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const message = { id: 'm', type: 'message', role: 'assistant', model: 'demo', content: [] };
  response.write(event('message_start', { message: { ...message, usage: { input_tokens: 9, output_tokens: 1 } } }));
  response.write(event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }));
  response.write(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }));
};

/** Asks for a message and leaves once the text is there. Answers the status, and what the limit had left. */
async function leave(on: Stack, token: string): Promise<[status: number, left: string | undefined]> {
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const request = http.request(`${on.url}/v1/messages`, { method: 'POST', agent: false, headers }, (response) => {
      let got = 0;
      const left = response.headers['anthropic-ratelimit-tokens-remaining'];
      const over = () => resolve([response.statusCode ?? 0, typeof left === 'string' ? left : undefined]);
      response.on('end', over);
      response.on('error', () => {});
      response.on('data', (part: Buffer) => {
        got += part.length;
        if (response.statusCode !== 200 || got < 3900) return;
        request.destroy();
        over();
      });
    });
    request.on('error', reject);
    request.end(
      JSON.stringify({ model: 'demo', max_tokens: 1, stream: true, messages: [{ role: 'user', content: 'hi' }] }),
    );
  });
}

test('a stream that is left before its usage is reported is charged what was delivered', async () => {
  const on = await startStack({
    policies: policy('{tokens: 2500, per: 1d}'),
    model: { formats: ['openai-chat', 'anthropic-messages'] },
  });
  stack = on;
  on.model.answer = messages;
  const token = await on.token('sam');
  const statuses: number[] = [];
  for (let i = 1; i <= 3; i++) {
    statuses.push((await leave(on, token))[0]);
    expect(await ended(on, i)).toMatchObject({ how: 'interrupted', outputTokens: 1 });
  }
  expect(statuses).toEqual([200, 200, 200]);
  expect((await leave(on, token))[0]).toBe(429);
});
