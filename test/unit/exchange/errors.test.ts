import OpenAI, { APIError } from 'openai';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorHeaders, errorRow, errors } from '../../../src/exchange/errors.ts';
import { refusal, requestIdHeaders, streamRefusal } from '../../../src/exchange/refusal.ts';

const codes = Object.keys(errors) as ErrorCode[];

/** What the official SDK throws for this answer. */
async function thrown(code: ErrorCode): Promise<{ error: unknown; calls: number }> {
  let calls = 0;
  const client = new OpenAI({
    apiKey: 'none',
    baseURL: 'http://gateway.test/v1',
    maxRetries: 1,
    fetch: async () => {
      calls++;
      const headers = errorHeaders(code, 'session-1').filter(([name]) => name !== 'retry-after');
      return new Response(refusal({ format: 'openai-chat', code, message: 'Because.', session: 'session-1' }).body, {
        status: errors[code].status,
        headers: [...headers, ['retry-after-ms', '1']] as [string, string][],
      });
    },
  });
  const error = await client.models.list().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, calls };
}

describe('the error table', () => {
  it.each(codes)('%s arrives as the exception of the SDK that the table names, with its code', async (code) => {
    const { error, calls } = await thrown(code);
    expect(error).toBeInstanceOf(APIError);
    expect((error as APIError).constructor.name).toBe(errorRow(code).sdk);
    expect(error).toMatchObject({ status: errors[code].status, code, type: errors[code].type });
    expect((error as APIError).message).toContain('Because. (session session-1)');
    expect(calls).toBe(errors[code].retry ? 2 : 1);
  });

  it('challenges with WWW-Authenticate on 401 and on nothing else', () => {
    for (const code of codes) {
      const challenge = errorHeaders(code, undefined).find(([name]) => name === 'www-authenticate')?.[1];
      expect(challenge !== undefined).toBe(errors[code].status === 401);
      // RFC 6750, section 3: what a quoted description may hold.
      if (challenge !== undefined)
        expect(challenge).toMatch(
          /^Bearer realm="sallyport"(, error="\w+", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+")?$/,
        );
    }
    expect(errorHeaders('token_missing', undefined)).toContainEqual(['www-authenticate', 'Bearer realm="sallyport"']);
  });

  it('says when to come back only where coming back may help', () => {
    for (const code of codes) {
      const headers = new Map(errorHeaders(code, 's'));
      expect(headers.get('x-should-retry')).toBe(String(errors[code].retry));
      // A limit says itself when it is free again.
      expect(headers.has('retry-after')).toBe(errors[code].retry && code !== 'rate_limit_exceeded');
      expect(headers.get('x-sallyport-session')).toBe('s');
    }
  });

  it('keeps quotes and control characters of a message inside the JSON', () => {
    const body = JSON.parse(refusal({ code: 'policy_denied', message: 'say "no"\n', session: undefined }).body);
    expect(body).toEqual({
      error: { message: 'say "no"\n', type: 'permission_error', param: null, code: 'policy_denied' },
    });
  });

  it('says which method is allowed with 405', () => {
    expect(errorHeaders('method_not_allowed', 's')).toContainEqual(['allow', 'POST']);
    for (const code of codes)
      expect(errorHeaders(code, 's').some(([name]) => name === 'allow')).toBe(errors[code].status === 405);
  });

  it.each<[ErrorCode, number]>([
    ['invalid_json', -32700],
    ['invalid_request', -32600],
    ['policy_denied', -32001],
    ['token_missing', -32001],
  ])('has the shape of JSON-RPC for MCP: %s is %i', (code, expected) => {
    const body = JSON.parse(refusal({ code, message: 'say "no"', session: 's', format: 'mcp' }).body);
    const error = { code: expected, message: 'say "no" (session s)', data: { code, session: 's' } };
    expect(body).toEqual({ jsonrpc: '2.0', id: null, error });
  });

  it.each(['7', '"a \\"b\\""', '900719925474099312345', '-1'])(
    'names the JSON-RPC request that it answers: %s',
    (rpcId) => {
      const about = { code: 'response_stopped', session: 's', format: 'mcp', rpcId } as const;
      for (const text of [refusal(about).body, streamRefusal(about).json])
        expect(text.startsWith(`{"jsonrpc":"2.0","id":${rpcId},"error":{`)).toBe(true);
    },
  );

  it("gives Anthropic's SDK the id that it shows, and no other API", () => {
    expect(requestIdHeaders('anthropic-messages', 's')).toEqual([['request-id', 's']]);
    expect(requestIdHeaders('anthropic-messages', '')).toEqual([]);
    expect(requestIdHeaders('openai-chat', 's')).toEqual([]);
  });

  it.each(['openai-chat', 'opaque', 'no-such-format', undefined])(
    "is OpenAI's where the path belongs to no other API: %s",
    (format) => {
      const body = JSON.parse(refusal({ code: 'gate_failed', session: 's', format }).body);
      expect(body).toMatchObject({ error: { type: 'server_error', code: 'gate_failed' } });
    },
  );
});
