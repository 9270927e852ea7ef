import { describe, expect, it } from 'vitest';
import type { RequestFacts } from '../../../src/exchange/facts.ts';
import { readRequest } from '../../../src/exchange/formats.ts';
import { opaque } from '../../../src/exchange/opaque.ts';

const read = async (contentType: string | undefined, body: string | Buffer, query = '', contentEncoding?: string) =>
  readRequest(
    { format: opaque, endpoint: { operation: 'opaque' } },
    { contentType, contentEncoding, query },
    Buffer.from(body as string),
  );

async function factsOf(...about: Parameters<typeof read>): Promise<RequestFacts> {
  const reading = await read(...about);
  if (!reading.ok) throw new Error(reading.message);
  return reading.value;
}

const FORM = 'application/x-www-form-urlencoded';

describe('the text of an opaque request', () => {
  it.each<[string, string | undefined, string | Buffer, string]>([
    ['plain text', 'text/plain', 'grüezi', 'grüezi'],
    ['text in UTF-8, said so', 'text/csv; charset=UTF-8', 'a,b', 'a,b'],
    ['a form, decoded', FORM, 'a=x+y&b%20c=%C3%BC', 'a\nx y\nb c\nü'],
    ['JSON, with its escapes decoded', 'application/json', '{"a":["\\u0034111 1","\\n"]}', 'a\n4111 1\n\n'],
    ['JSON of another kind', 'application/vnd.api+json', '{"data":"x"}', 'data\nx'],
    ['bytes', 'application/octet-stream', 'secret', ''],
    ['an image', 'image/png', Buffer.from([0xff, 0xfe]), ''],
    ['text in another charset', 'text/plain; charset=iso-8859-1', Buffer.from([0xfc]), ''],
    ['a body that does not say what it is', undefined, 'secret', ''],
    ['another kind of multipart', 'multipart/mixed; boundary=x', 'whatever', ''],
    ['no body', 'application/json', '', ''],
  ])('is that of %s', async (_what, contentType, body, text) => {
    expect(await factsOf(contentType, body)).toMatchObject({
      format: 'opaque',
      operation: 'opaque',
      model: '',
      stream: false,
      text,
      files: 0,
      bytes: Buffer.from(body as string).length,
    });
  });

  it('has the query of the URL before it, decoded', async () => {
    expect((await factsOf('text/plain', 'body', 'q=4111%201111&x')).text).toBe('q\n4111 1111\nx\nbody');
    expect((await factsOf(undefined, '', 'q=%c3%bc')).text).toBe('q\nü');
  });

  it.each<[string, string, string | Buffer, string]>([
    ['JSON that is not', 'application/json', '{', 'invalid_json'],
    ['JSON with a name twice', 'application/json', '{"a":1,"a":2}', 'invalid_json'],
    ['text that is not UTF-8', 'text/plain', Buffer.from([0xff]), 'invalid_request'],
    ['a form with half an escape', FORM, 'a=%4', 'invalid_request'],
    ['a form with an escape that is none', FORM, 'a=%zz', 'invalid_request'],
    ['a form that is not UTF-8', FORM, 'a=%ff', 'invalid_request'],
    ['two content types', 'text/plain, text/html', 'a', 'invalid_request'],
    ['two charsets', 'text/plain; charset=utf-8; charset=utf-16', 'a', 'invalid_request'],
  ])('refuses %s', async (_what, contentType, body, code) => {
    expect(await read(contentType, body)).toMatchObject({ ok: false, code });
  });

  it('refuses a query that is not UTF-8, and an encoded body', async () => {
    expect(await read('text/plain', 'a', 'q=%ff')).toMatchObject({ ok: false, code: 'invalid_request' });
    expect(await read('text/plain', 'a', '', 'gzip')).toMatchObject({ ok: false, code: 'unsupported_encoding' });
  });

  it('of megabytes is read in slices', async () => {
    const percent = '%41'.repeat(1_000_000);
    expect((await factsOf(FORM, percent)).text).toBe('A'.repeat(1_000_000));
  });
});

const TYPE = 'multipart/form-data; boundary=xyz';
const part = (headers: string, content: string) => `--xyz\r\n${headers}\r\n\r\n${content}\r\n`;
const field = (name: string, content: string) => part(`Content-Disposition: form-data; name="${name}"`, content);
const fileOf = (name: string, type: string, content: string) =>
  part(`Content-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: ${type}`, content);
const END = '--xyz--\r\n';

describe('multipart/form-data', () => {
  it('says its fields, the names of its files, and what is in files of text', async () => {
    const body =
      field('prompt', 'say ü') +
      fileOf('jane.png', 'image/png', '\x89PNG') +
      fileOf('a.txt', 'text/plain', 'in it') +
      END;
    const { text, files } = await factsOf(TYPE, body);
    expect(text).toBe('prompt\nsay ü\nfile\njane.png\nfile\na.txt\nin it');
    expect(files).toBe(2);
  });

  it('is read as clients write it', async () => {
    const form = new FormData();
    form.append('model', 'whisper');
    form.append('file', new Blob(['sound'], { type: 'audio/wav' }), 'a "b".wav');
    const request = new Request('http://x.test', { method: 'POST', body: form });
    const body = Buffer.from(await request.arrayBuffer());
    const facts = await factsOf(request.headers.get('content-type')!, body);
    expect(facts).toMatchObject({ text: 'model\nwhisper\nfile\na %22b%22.wav', files: 1 });
  });

  it.each<[string, string, string]>([
    ['no boundary', 'multipart/form-data', field('a', 'b') + END],
    ['a boundary with a space', 'multipart/form-data; boundary="x yz"', field('a', 'b') + END],
    ['two boundaries', 'multipart/form-data; boundary=xyz; boundary=abc', field('a', 'b') + END],
    [
      'a boundary that only some readers see',
      "multipart/form-data; boundary*=utf-8''abc; boundary=xyz",
      field('a', 'b') + END,
    ],
    ['something before it', TYPE, `x\r\n${field('a', 'b')}${END}`],
    ['something behind it', TYPE, `${field('a', 'b')}${END}x`],
    ['no end', TYPE, field('a', 'b')],
    ['no boundary in it', TYPE, 'hello'],
    ['line feeds alone', TYPE, (field('a', 'b') + END).replaceAll('\r', '')],
    ['its boundary inside a text, behind a line feed', TYPE, field('a', `x\n--xyz\r\ny`) + END],
    ['its boundary with something behind', TYPE, field('a', 'b').replace('--xyz', '--xyz ') + END],
    ['a part without headers', TYPE, `--xyz\r\n\r\nb\r\n${END}`],
    ['a part without a name', TYPE, part('Content-Disposition: form-data', 'b') + END],
    ['a part with two names', TYPE, part('Content-Disposition: form-data; name="a"; name="b"', 'c') + END],
    [
      'a part with two dispositions',
      TYPE,
      part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"', 'c') + END,
    ],
    ['an escaped quote', TYPE, field('a\\"', 'b') + END],
    [
      'a second file name',
      TYPE,
      part('Content-Disposition: form-data; name="a"; filename="b"; filename*=utf-8\'\'c', 'd') + END,
    ],
    [
      'an encoded part',
      TYPE,
      part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', 'aGk=') + END,
    ],
    ['a folded header', TYPE, part('Content-Disposition: form-data;\r\n name="a"', 'b') + END],
    ['headers of 5 kB', TYPE, field('a'.repeat(5000), 'b') + END],
    ['more than 1,000 parts', TYPE, field('a', 'b').repeat(1001) + END],
    ['a malformed type of a part', TYPE, fileOf('a', 'text', 'b') + END],
  ])('with %s is refused', async (_what, type, body) => {
    expect(await read(type, body)).toMatchObject({ ok: false, code: 'invalid_request' });
  });

  it('with a field that is not UTF-8 is refused', async () => {
    const body = Buffer.concat([
      Buffer.from('--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n'),
      Buffer.from([0xff]),
      Buffer.from(`\r\n${END}`),
    ]);
    expect(await read(TYPE, body)).toMatchObject({ ok: false, code: 'invalid_request' });
  });
});
