import { describe, expect, it } from 'vitest';
import { readHead } from '../../../src/envoy/response.ts';
import type { Header } from '../../../src/envoy/wire.ts';

const head = (...headers: Header[]) => readHead([[':status', '200'], ...headers], false);

describe('the head of a response', () => {
  it('says how the body is read', () => {
    expect(head(['content-type', 'application/json'])).toEqual({
      status: 200,
      mediaType: 'application/json',
      reading: { ok: true, framing: 'json' },
      remove: [],
      set: [],
    });
    expect(head(['content-type', 'text/html; charset=utf-8']).reading).toEqual({ ok: true, framing: 'text' });
  });

  it.each<[string, Header[]]>([
    ['no content type', []],
    [
      'two that differ',
      [
        ['content-type', 'application/octet-stream'],
        ['content-type', 'application/json'],
      ],
    ],
    [
      'the same twice',
      [
        ['content-type', 'text/plain'],
        ['content-type', 'text/plain'],
      ],
    ],
    ['two charsets', [['content-type', 'application/json; charset=utf-8; charset=utf-7']]],
    ['a charset that only some readers see', [['content-type', "application/json; charset*=utf-8''utf-7"]]],
    ['a list', [['content-type', 'application/json, text/plain']]],
    ['a malformed parameter', [['content-type', 'application/json; charset = utf-8 x']]],
    ['another charset', [['content-type', 'application/json; charset=utf-16']]],
    ['an unknown type', [['content-type', 'application/octet-stream']]],
  ])('refuses %s', (_what, headers) => {
    expect(head(...headers).reading).toEqual({ ok: false, code: 'response_type_refused' });
  });

  it('refuses an encoding that is named beside identity, in whatever order', () => {
    for (const encodings of [['gzip', 'identity'], ['identity', 'gzip'], ['gzip']]) {
      const headers = encodings.map((encoding): Header => ['content-encoding', encoding]);
      expect(head(['content-type', 'application/json'], ...headers).reading).toEqual({
        ok: false,
        code: 'response_encoding_refused',
      });
    }
    expect(head(['content-type', 'application/json'], ['content-encoding', 'Identity ']).reading.ok).toBe(true);
  });

  it('sends the content type on without parameters of the model', () => {
    expect(head(['content-type', 'Text/Event-Stream; charset=UTF-8; x=jane']).set).toEqual([
      ['content-type', 'text/event-stream; charset=utf-8'],
    ]);
  });

  it('takes a content type that cannot be read off an answer without a body', () => {
    const { reading, remove } = readHead(
      [
        [':status', '204'],
        ['content-type', 'jane roe'],
      ],
      true,
    );
    expect(reading.ok).toBe(true);
    expect(remove).toContain('content-type');
  });

  const opaque = (...headers: Header[]) => readHead([[':status', '200'], ...headers], false, true).reading;
  it.each<[string, string]>([
    ['application/octet-stream', 'opaque'],
    ['audio/mpeg', 'opaque'],
    ['text/plain; charset=iso-8859-1', 'opaque'],
    ['application/json', 'json'],
    ['text/event-stream', 'sse'],
    ['application/x-ndjson', 'ndjson'],
    ['text/plain', 'text'],
  ])('reads %s of an opaque call of which nothing is masked as %s', (type, framing) => {
    expect(opaque(['content-type', type])).toEqual({ ok: true, framing });
  });

  it.each<[string, Header[]]>([
    ['no content type', []],
    ['a malformed one', [['content-type', 'jane roe']]],
    [
      'two',
      [
        ['content-type', 'audio/mpeg'],
        ['content-type', 'audio/mpeg'],
      ],
    ],
  ])('refuses %s of an opaque call as well', (_what, headers) => {
    expect(opaque(...headers)).toEqual({ ok: false, code: 'response_type_refused' });
  });

  it('refuses a part of a body, and an encoded one, of an opaque call as well', () => {
    const part: Header[] = [
      [':status', '206'],
      ['content-type', 'audio/mpeg'],
    ];
    expect(readHead(part, false, true).reading).toEqual({ ok: false, code: 'response_type_refused' });
    expect(opaque(['content-type', 'audio/mpeg'], ['content-encoding', 'gzip'])).toEqual({
      ok: false,
      code: 'response_encoding_refused',
    });
  });

  it('takes 202 without a content type for an answer without a body, and no other status', () => {
    expect(readHead([[':status', '202']], false).reading).toEqual({ ok: true, framing: 'none' });
    expect(readHead([[':status', '201']], false).reading).toEqual({ ok: false, code: 'response_type_refused' });
    const malformed: Header[] = [
      [':status', '202'],
      ['content-type', 'jane roe'],
    ];
    expect(readHead(malformed, false).reading).toEqual({ ok: false, code: 'response_type_refused' });
  });
});
