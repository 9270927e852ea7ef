import OpenAI, { APIError } from 'openai';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorHeaders, errorRow, errors } from '../../../src/exchange/errors.ts';
import { refusal } from '../../../src/exchange/refusal.ts';

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
});
