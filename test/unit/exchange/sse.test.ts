import { describe, expect, it } from 'vitest';
import { readResponseMedia } from '../../../src/exchange/media.ts';
import { SseFraming, sseData, sseEventEnd, sseLines, withSseData } from '../../../src/exchange/sse.ts';
import { UnreadableBody } from '../../../src/exchange/unreadable.ts';

/** The pieces in which framing releases a stream that arrives in these chunks, and what is left at its end. */
function regions(chunks: readonly string[], maxEventBytes = 1000): string[] {
  const framing = new SseFraming(maxEventBytes);
  return [...chunks.map((chunk) => framing.push(Buffer.from(chunk)).toString()), framing.end().toString()];
}

const eventsIn = (text: string): string[] => {
  const events: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = sseEventEnd(text, at);
    events.push(text.slice(at, end));
    at = end;
  }
  return events;
};

describe('cutting a stream into events', () => {
  it.each([
    [['data: a\n\n'], ['data: a\n\n', '']],
    [
      ['data: a\n', '\ndata: b', '\n\n'],
      ['', 'data: a\n\n', 'data: b\n\n', ''],
    ],
    [['data: a\n\ndata: b'], ['data: a\n\n', 'data: b']],
    [
      ['data: a\r\n\r', '\n', 'data: b\r\n\r\n'],
      ['data: a\r\n\r', '\n', 'data: b\r\n\r\n', ''],
    ],
    [
      ['data: a\r\n', '\r\n'],
      ['', 'data: a\r\n\r\n', ''],
    ],
    [['data: a\r\rdata: b\r\r'], ['data: a\r\rdata: b\r\r', '']],
    [
      ['data: a\r', '\r', 'data: b\r\r'],
      ['', 'data: a\r\r', 'data: b\r\r', ''],
    ],
    [['data: a\n\r\ndata'], ['data: a\n\r\n', 'data']],
    [
      ['\n', '\n\n', '\r'],
      ['\n', '\n\n', '\r', ''],
    ],
    [
      ['', 'x', ''],
      ['', '', '', 'x'],
    ],
  ])('%j', (chunks, released) => {
    expect(regions(chunks)).toEqual(released);
  });

  /** Around the places where the search for a line's end changes its step. */
  const lengths = [1023, 1024, 1025, 9215, 9216, 9217, 17_408, 20_000];

  it.each(['\n', '\r', '\r\n'])('finds the end of long lines that end with %j, cut anywhere near it', (eol) => {
    for (const length of lengths) {
      const first = `data: ${'x'.repeat(length)}${eol}: y${eol}${eol}`;
      const stream = `${first}data: z${eol}${eol}`;
      expect(eventsIn(stream)).toEqual([first, `data: z${eol}${eol}`]);
      expect(sseLines(first).map(({ text }) => text.length)).toEqual([length, 2, 0]);
      for (let cut = length; cut < first.length; cut++) {
        // Without the LF of a CRLF: the event is complete before it.
        const whole = eol === '\r\n' && cut === first.length - 1;
        expect(regions([stream.slice(0, cut), stream.slice(cut)], 30_000)[0]).toBe(whole ? first.slice(0, cut) : '');
      }
      expect(regions([`${first}data`], 30_000)).toEqual([first, 'data']);
      expect(regions([`${first}data`], first.length)).toEqual([first, 'data']);
      // The LF of a last CRLF comes by itself.
      expect(() => regions([`${first}data`], first.length - 2)).toThrow(UnreadableBody);
    }
  });

  it('bounds one event, not the stream', () => {
    expect(
      regions(
        Array.from({ length: 50 }, () => `data: ${'x'.repeat(50)}\n\n`),
        60,
      ).join(''),
    ).toHaveLength(50 * 58);
    for (const chunks of [
      ['x'.repeat(61)],
      ['x'.repeat(30), 'x'.repeat(31)],
      [`data: a\n\n${'x'.repeat(59)}\n\n`],
      [`${'x'.repeat(59)}\n\n`],
    ])
      expect(() => regions(chunks, 60)).toThrow(UnreadableBody);
    expect(regions([`${'x'.repeat(58)}\n\n`], 60)).toHaveLength(2);
  });

  it('finds the events of a text, blank lines and mixed line ends included', () => {
    expect(eventsIn('a\n\nb\r\n\r\nc\r\rd\n\re\r\n\n\nf')).toEqual([
      'a\n\n',
      'b\r\n\r\n',
      'c\r\r',
      'd\n\r',
      'e\r\n\n',
      '\n',
      'f',
    ]);
  });
});

describe('the lines of an event', () => {
  it('are told apart, and their bytes kept', () => {
    const event = ':c\n: d\r\nevent:x\rid: 7\nretry\ndata:a\ndata:  b\ndata\nodd: e\nodd\n\n';
    const lines = sseLines(event);
    expect(lines.map(({ field, prefix, text }) => [field, prefix, text])).toEqual([
      ['comment', ':', 'c'],
      ['comment', ':', ' d'],
      ['event', 'event:', 'x'],
      ['id', 'id: ', '7'],
      ['retry', 'retry', ''],
      ['data', 'data:', 'a'],
      ['data', 'data: ', ' b'],
      ['data', 'data', ''],
      ['unknown', '', 'odd: e'],
      ['unknown', '', 'odd'],
      ['blank', '', ''],
    ]);
    expect(lines.map((line) => line.prefix + line.text + line.eol).join('')).toBe(event);
    expect(sseData(lines)).toBe('a\n b\n');
    expect(sseData(sseLines(': x\n\n'))).toBeUndefined();
  });

  it('take other data: as many lines, fewer, or more', () => {
    const lines = sseLines('data:a\r\nid: 7\r\ndata: b\r\n\r\n');
    expect(withSseData(lines, 'x\ny')).toBe('data:x\r\nid: 7\r\ndata: y\r\n\r\n');
    expect(withSseData(lines, 'x')).toBe('data:x\r\nid: 7\r\n\r\n');
    expect(withSseData(lines, 'x\ny\nz')).toBe('data:x\r\nid: 7\r\ndata: y\r\ndata: z\r\n\r\n');
    expect(sseData(sseLines(withSseData(sseLines('data\n\n'), 'x')))).toBe('x');
  });
});

describe('the framing of a response', () => {
  it.each([
    ['text/event-stream', 'sse'],
    ['Text/Event-Stream; charset=UTF-8', 'sse'],
    ['application/json', 'json'],
    ['application/problem+json;charset="utf-8"', 'json'],
    ['application/x-ndjson', 'ndjson'],
    ['text/plain; charset=us-ascii', 'text'],
    [undefined, undefined],
    ['', undefined],
    ['text/html; charset=utf-8', 'text'],
    ['application/ndjson', 'ndjson'],
    ['application/json;', 'json'],
    ["application/json; charset*=utf-8''utf-7", undefined],
    ['application/octet-stream', undefined],
    ['application/json, text/plain', undefined],
    ['application/json; charset=utf-16', undefined],
    ['application/json; charset=utf-8; charset=utf-7', undefined],
    ['text/event-stream;;x', undefined],
    [`application/json; x=${'y'.repeat(300)}`, undefined],
  ])('of type %s is %s', (type, framing) => {
    expect(readResponseMedia(type === undefined ? [] : [type])?.framing).toBe(framing);
  });

  it('is not read from two types', () => {
    expect(readResponseMedia(['application/json', 'application/json'])).toBeUndefined();
  });

  it('is sent on without parameters other than the charset', () => {
    expect(readResponseMedia(['Text/Plain;x=jane;charset="UTF-8"'])?.canonical).toBe('text/plain; charset=utf-8');
  });
});
