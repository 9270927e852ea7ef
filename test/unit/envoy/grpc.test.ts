import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type GrpcMethod, grpcStatus, serveGrpc } from '../../../src/envoy/grpc.ts';

/** Most bytes of a message that the server under test takes. */
const LIMIT = 200_000;

const closed: string[] = [];
const receiver = (name: string, message: (bytes: Buffer) => void, end: () => void) => ({
  message,
  end,
  closed: () => closed.push(name),
});
const methods = new Map<string, GrpcMethod>([
  [
    '/echo',
    (call) =>
      receiver(
        'echo',
        (bytes) => call.send(Buffer.from(bytes)),
        () => call.finish(),
      ),
  ],
  [
    '/last',
    (call) =>
      receiver(
        'last',
        (bytes) => call.answer(Buffer.from(bytes)),
        () => {},
      ),
  ],
  [
    '/parts',
    (call) =>
      receiver(
        'parts',
        (bytes) => call.send([bytes.subarray(0, 2), bytes.subarray(2)]),
        () => call.finish(),
      ),
  ],
  [
    '/refuses',
    (call) => {
      call.fail({ code: grpcStatus.permissionDenied, details: 'not you' });
      return receiver(
        'refuses',
        () => call.send(Buffer.of(1)),
        () => call.finish(),
      );
    },
  ],
  [
    '/breaks',
    (call) =>
      receiver(
        'breaks',
        (bytes) => {
          if (bytes.length === 0) throw new Error('a bug');
          call.send(Buffer.from(bytes));
        },
        () => {
          throw new Error('another');
        },
      ),
  ],
]);

methods.set('/never', () => {
  throw new Error('a bug');
});
let asked = 0;
methods.set('/asks', (call) =>
  receiver(
    'asks',
    () => {
      asked++;
      call.send(Buffer.alloc(10_000));
    },
    () => call.finish(),
  ),
);

const server = http2.createServer();
let session: http2.ClientHttp2Session;
beforeAll(async () => {
  server.on('stream', (stream, headers) => serveGrpc(stream, headers, methods, LIMIT));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  session.close();
  server.close();
});

const frame = (message: Buffer, flag = 0): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};

/** Sends the pieces as they are; answers with the status (of a header or a trailer) and the bytes that came. */
async function call(path: string, pieces: readonly Buffer[], contentType = 'application/grpc') {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': contentType, te: 'trailers' });
  const seen = { http: '', grpc: '', message: '', bytes: '' };
  const look = (headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader) => {
    seen.http ||= String(headers[':status'] ?? '');
    seen.grpc ||= String(headers['grpc-status'] ?? '');
    seen.message ||= String(headers['grpc-message'] ?? '');
  };
  stream.on('response', look);
  stream.on('trailers', look);
  for (const piece of pieces) {
    await new Promise((resolve) => stream.write(piece, resolve));
  }
  stream.end();
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  seen.bytes = Buffer.concat(chunks).toString('hex');
  return seen;
}

const hello = frame(Buffer.from('hello'));

describe('messages', () => {
  test('come whole, wherever the transport cut them', async () => {
    const two = Buffer.concat([hello, frame(Buffer.from('there'))]);
    for (let cut = 0; cut <= two.length; cut++) {
      const answer = await call('/echo', [two.subarray(0, cut), two.subarray(cut)]);
      expect(answer, `cut at ${cut}`).toEqual({ http: '200', grpc: '0', message: '', bytes: two.toString('hex') });
    }
    const bytes = [...two].map((byte) => Buffer.of(byte));
    expect((await call('/echo', bytes)).bytes).toBe(two.toString('hex'));
  });

  test('that are long come whole, in whatever pieces', async () => {
    const message = Buffer.from(Array.from({ length: LIMIT }, (_, i) => (i * 31) % 251));
    const sent = frame(message);
    for (const size of [997, 16_384, 32_768, 65_536, 150_000]) {
      const pieces = Array.from({ length: Math.ceil(sent.length / size) }, (_, i) =>
        sent.subarray(i * size, (i + 1) * size),
      );
      expect((await call('/echo', pieces)).bytes === sent.toString('hex'), `in pieces of ${size}`).toBe(true);
    }
  });

  test('of a peer that does not read the answers are not read either', async () => {
    asked = 0;
    const stream = session.request({ ':method': 'POST', ':path': '/asks', 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.pause();
    for (let i = 0; i < 50; i++) stream.write(Buffer.concat(Array.from({ length: 100 }, () => hello)));
    await call('/echo', [hello]);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(0));
    const before = asked;
    await call('/echo', [hello]);
    expect(asked).toBe(before);
    expect(asked).toBeLessThan(5000);
    stream.close(http2.constants.NGHTTP2_CANCEL);
  });

  test('may be sent in two parts', async () => {
    expect(await call('/parts', [hello])).toEqual({
      http: '200',
      grpc: '0',
      message: '',
      bytes: hello.toString('hex'),
    });
  });

  test('may be empty', async () => {
    expect((await call('/echo', [frame(Buffer.alloc(0)), hello])).bytes).toBe(`0000000000${hello.toString('hex')}`);
  });

  test('as long as the limit pass; one byte more ends the call', async () => {
    expect((await call('/echo', [frame(Buffer.alloc(LIMIT))])).grpc).toBe('0');
    const answer = await call('/echo', [frame(Buffer.alloc(LIMIT + 1))]);
    expect(answer).toMatchObject({ http: '200', grpc: String(grpcStatus.resourceExhausted), bytes: '' });
  });

  test('that are compressed are refused', async () => {
    expect(await call('/echo', [frame(Buffer.from('x'), 1)])).toMatchObject({ grpc: '12', bytes: '' });
  });
});

describe('a call', () => {
  test('that is answered ends with OK, and what comes after the answer is not', async () => {
    const answer = await call('/last', [hello, hello]);
    expect(answer).toEqual({ http: '200', grpc: '0', message: '', bytes: hello.toString('hex') });
  });

  test('that is refused gets its status alone, and nothing is sent after it', async () => {
    const answer = await call('/refuses', [hello]);
    expect(answer).toEqual({ http: '200', grpc: '7', message: 'not you', bytes: '' });
  });

  test('whose handler throws ends non-OK, also after its first messages', async () => {
    expect((await call('/breaks', [frame(Buffer.alloc(0))])).grpc).toBe(String(grpcStatus.internal));
    const later = await call('/breaks', [hello, frame(Buffer.alloc(0))]);
    expect(later).toMatchObject({ grpc: String(grpcStatus.internal), bytes: hello.toString('hex') });
    expect(await call('/breaks', [hello])).toMatchObject({ grpc: String(grpcStatus.internal) });
    expect(await call('/never', [hello])).toMatchObject({ grpc: String(grpcStatus.internal), bytes: '' });
  });

  test('of no method, or of another content type, is refused', async () => {
    expect(await call('/nothing', [hello])).toMatchObject({ http: '200', grpc: '12' });
    expect(await call('/echo', [hello], 'application/json')).toMatchObject({ http: '415', grpc: '' });
  });

  test('that is reset is over once', async () => {
    closed.length = 0;
    const stream = session.request({ ':method': 'POST', ':path': '/echo', 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.write(hello);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await call('/last', [hello]);
    expect(closed).toEqual(['echo', 'last']);
  });
});
