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
    ['text in UTF-8 by another name', 'text/plain; charset=utf8', 'grüezi', 'grüezi'],
    ['text in ASCII', 'text/plain; charset=ascii', 'a', 'a'],
    ['text in ASCII by its full name', 'text/plain; charset="US-ASCII"', 'a', 'a'],
    ['text in Latin-1', 'text/plain; charset=ISO-8859-1', Buffer.from([0x67, 0xfc]), 'gü'],
    ['text in Latin-1 that is plain', 'text/plain; charset=latin1', 'a', 'a'],
    ['text in Latin-1 that is UTF-8, in both', 'text/plain; charset=windows-1252', 'ü', 'Ã¼\nü'],
    ['JSON in UTF-8 by another name', 'application/json; charset=utf8', '{"a":"\\u0034"}', 'a\n4'],
    ['JSON that says that it is Latin-1', 'application/json; charset=iso-8859-1', '["\\u0034"]', '4'],
    [
      'XML',
      'application/xml',
      '<?xml version="1.0" encoding="UTF-8"?><a>x</a>',
      '<?xml version="1.0" encoding="UTF-8"?><a>x</a>',
    ],
    ['XML of another kind', 'image/svg+xml', '<a>x</a>', '<a>x</a>'],
    ['bytes that are text', 'application/octet-stream', 'secret', 'secret'],
    ['a body that does not say what it is, and is text', undefined, 'secret', 'secret'],
    ['JSON that does not say so, with its escapes decoded', undefined, ' {"a":"\\u0034"}', ' {"a":"\\u0034"}\na\n4'],
    ['JSON that says that it is text', 'text/plain', '["\\u0034"]', '["\\u0034"]\n4'],
    ['a note that begins like JSON', 'text/plain', '[x] a\\b', '[x] a\\b'],
    ['no body', 'application/json', '', ''],
  ])('is that of %s', async (_what, contentType, body, text) => {
    expect(await factsOf(contentType, body)).toMatchObject({
      format: 'opaque',
      operation: 'opaque',
      model: '',
      stream: false,
      text,
      unread: false,
      files: 0,
      bytes: Buffer.from(body as string).length,
    });
  });

  it.each<[string, string | undefined, string | Buffer, string]>([
    ['an image', 'image/png', Buffer.from([0xff, 0xfe]), ''],
    ['an image that is text', 'image/png', 'secret', 'secret'],
    ['bytes that are no text', 'application/octet-stream', Buffer.from([0xff]), ''],
    ['a body that does not say what it is', undefined, Buffer.from([0x61, 0xff]), ''],
    ['UTF-16 that does not say so', undefined, Buffer.from('secret', 'utf16le'), 'secret'],
    ['another charset', 'text/plain; charset=utf-7', 'secret', 'secret'],
    ['JSON in another charset', 'application/json; charset=utf-16', Buffer.from('{}', 'utf16le'), '{}'],
    ['JSON that is not strict, and has escapes', undefined, '{"a":1,"a":"\\u0034"}', '{"a":1,"a":"\\u0034"}'],
    ['another kind of multipart', 'multipart/mixed; boundary=x', 'whatever', 'whatever'],
    ['XML with references', 'application/xml', '<a>&#52;</a>', '<a>&#52;</a>'],
    ['XML with comments', 'text/xml', '<a>4<!-- -->1</a>', '<a>4<!-- -->1</a>'],
    ['XML in another encoding', 'application/xml', "<?xml encoding = 'utf-7'?>", "<?xml encoding = 'utf-7'?>"],
    ['XML in UTF-16', 'application/xml', Buffer.from('\ufeff<a/>', 'utf16le'), ''],
    ['XML with an endless declaration', 'text/xml', `<?xml ${' '.repeat(300)}?>`, `<?xml ${' '.repeat(300)}?>`],
  ])('is not all that %s may say', async (_what, contentType, body, text) => {
    expect(await factsOf(contentType, body)).toMatchObject({ text, unread: true });
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
    [
      'text in ASCII that is neither that nor UTF-8',
      'text/plain; charset=ascii',
      Buffer.from([0xff]),
      'invalid_request',
    ],
    ['JSON in Latin-1', 'application/json; charset=latin1', Buffer.from([0x22, 0xfc, 0x22]), 'invalid_json'],
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
const NAMED = 'Content-Disposition: form-data; name="a"';
const BYTES = 'application/octet-stream';
const END = '--xyz--\r\n';

describe('multipart/form-data', () => {
  it('says its fields, the names of its files, and what is in files of text', async () => {
    const body =
      field('prompt', 'say ü') +
      fileOf('jane.png', 'image/png', '\x89PNG') +
      fileOf('a.txt', 'text/plain', 'in it') +
      END;
    const { text, files } = await factsOf(TYPE, body);
    expect(text).toBe('prompt\nsay ü\nfile\njane.png\n\x89PNG\nfile\na.txt\nin it');
    expect(files).toBe(2);
  });

  it.each<[string, string, Partial<RequestFacts>]>([
    ['a field', field('a', 'b'), { text: 'a\nb', files: 0, unread: false }],
    [
      'a field of another type',
      part(`${NAMED}\r\nContent-Type: image/png`, 'b'),
      { text: 'a\nb', files: 0, unread: true },
    ],
    [
      'a field that is bytes',
      part(`${NAMED}\r\nContent-Type: ${BYTES}`, 'b'),
      { text: 'a\nb', files: 1, unread: false },
    ],
    [
      'a field in Latin-1',
      part(`${NAMED}\r\nContent-Type: text/plain; charset=latin1`, 'b'),
      { text: 'a\nb', unread: false },
    ],
    ['a file of text', fileOf('c', 'text/plain; charset=utf8', 'b'), { text: 'file\nc\nb', files: 1, unread: false }],
    ['a file of bytes that are text', fileOf('c', BYTES, 'b'), { text: 'file\nc\nb', files: 1, unread: false }],
    ['a file without a type', part(`${NAMED}; filename="c"`, 'b'), { text: 'a\nc\nb', files: 1, unread: false }],
    ['sound', fileOf('c', 'audio/wav', 'b'), { files: 1, unread: true }],
    ['fields that say that they are UTF-8', field('_charset_', 'UTF-8'), { text: '_charset_\nUTF-8', unread: false }],
  ])('with %s says what is in it, and whether that is all', async (_what, body, facts) => {
    expect(await factsOf(TYPE, body + END)).toMatchObject(facts);
  });

  it('is read as clients write it', async () => {
    const form = new FormData();
    form.append('model', 'whisper');
    form.append('file', new Blob(['sound'], { type: 'audio/wav' }), 'a "b".wav');
    const request = new Request('http://x.test', { method: 'POST', body: form });
    const body = Buffer.from(await request.arrayBuffer());
    const facts = await factsOf(request.headers.get('content-type')!, body);
    expect(facts).toMatchObject({ text: 'model\nwhisper\nfile\na %22b%22.wav\nsound', files: 1, unread: true });
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
    ['a file without a name', TYPE, fileOf('', 'text/plain', 'b') + END],
    ['a file whose name is a blank', TYPE, fileOf(' ', 'text/plain', 'b') + END],
    ['a file whose name is a folder', TYPE, fileOf('a/', 'text/plain', 'b') + END],
    ['fields in another charset', TYPE, field('_charset_', 'utf-7') + END],
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
