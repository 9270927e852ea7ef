import { describe, expect, test } from 'vitest';
import type { GateRequest } from '../../../src/checkpoint/stages.ts';
import { forwardHeaders } from '../../../src/envoy/forward.ts';

const caller = { provider: 'corp', subject: 'jane', team: undefined };
const model = { cluster: 'model_demo_1', credential: undefined };

const request = (headers: GateRequest['headers']): GateRequest => ({
  method: 'POST',
  path: '/v1/chat/completions',
  host: 'models.example',
  headers,
  joined: false,
  body: Buffer.alloc(0),
  clientAddress: '192.0.2.7',
  namedModel: undefined,
  peer: '',
  jwtAuthn: undefined,
});

describe('the signed identity', () => {
  test.each(['x-sallyport-identity', 'x-corp-user', 'openai-user'])(
    'is set as %s over what the client sent',
    (header) => {
      const { setHeaders, removeHeaders } = forwardHeaders(
        request([
          [header, 'forged'],
          ['x-sallyport-caller', 'corp/root'],
        ]),
        caller,
        { ...model, identity: { header } },
        'session',
        'signed',
      );
      expect(setHeaders.filter(([name]) => name === header)).toEqual([[header, 'signed']]);
      expect(removeHeaders).not.toContain(header);
    },
  );

  test('of a client does not arrive at a model that wants none', () => {
    const { setHeaders, removeHeaders } = forwardHeaders(
      request([['x-sallyport-identity', 'forged']]),
      caller,
      { ...model, identity: undefined },
      'session',
      undefined,
    );
    expect(setHeaders.map(([name]) => name)).not.toContain('x-sallyport-identity');
    expect(removeHeaders).toContain('x-sallyport-identity');
  });
});

describe('the cluster', () => {
  const identity = undefined;
  const sent = request([['x-sallyport-upstream', 'model_other_1']]);

  test('is set over what the client sent', () => {
    const { setHeaders, removeHeaders } = forwardHeaders(sent, caller, { ...model, identity }, 'session', undefined);
    expect(setHeaders[0]).toEqual(['x-sallyport-upstream', 'model_demo_1']);
    expect(removeHeaders).not.toContain('x-sallyport-upstream');
  });

  test.each([[sent], [request([])]])('is not named before the request is masked, by nobody', (from) => {
    const { setHeaders, removeHeaders } = forwardHeaders(from, caller, { ...model, identity }, 's', undefined, true);
    expect(setHeaders.map(([name]) => name)).not.toContain('x-sallyport-upstream');
    expect(removeHeaders).toContain('x-sallyport-upstream');
  });
});
