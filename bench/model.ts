/**
 * The bench's model: a raw HTTP/1.1 server that costs as little as can be, so that the load falls on what is measured.
 * POST /v1/chat/completions: `"stream":true` gives 200 events, back to back or paced (`pace=10ms` in the prompt), else JSON of
 * 100 words. The `id` of a paced event is the time it was written,
 * nanoseconds of CLOCK_MONOTONIC; else it is the same in all events, as with real servers.
 */
import net from 'node:net';
import { EVENTS, jsonAnswer, WORDS } from './answers.ts';

const JSON_BODY = Buffer.from(jsonAnswer());
const JSON_RESPONSE = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${JSON_BODY.length}\r\n\r\n`),
  JSON_BODY,
]);
const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

function event(index: number, id: string): string {
  const delta = index === 0 ? { role: 'assistant', content: '' } : { content: WORDS[index % WORDS.length] };
  const chunk = {
    id,
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'bench',
    choices: [{ index: 0, delta, finish_reason: index === EVENTS - 1 ? 'stop' : null }],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

const DONE = `${chunked('data: [DONE]\n\n')}0\r\n\r\n`;
/** Back to back: 20 events a write, as a fast model's server would. */
function stream(socket: net.Socket): void {
  let text = STREAM_HEAD;
  for (let i = 0; i < EVENTS; i++) {
    text += chunked(event(i, 'chatcmpl-bench'));
    if (i % 20 === 19) {
      socket.write(text);
      text = '';
    }
  }
  socket.write(text + DONE);
}

function paced(socket: net.Socket, everyMs: number): void {
  let i = 0;
  socket.write(STREAM_HEAD);
  const timer = setInterval(() => {
    socket.write(chunked(event(i++, `t-${process.hrtime.bigint()}`)));
    if (i < EVENTS) return;
    clearInterval(timer);
    socket.write(DONE);
  }, everyMs);
  socket.once('close', () => clearInterval(timer));
}

function answer(socket: net.Socket, body: string): void {
  if (!body.includes('"stream":true')) {
    socket.write(JSON_RESPONSE);
    return;
  }
  const pace = /pace=(\d+)ms/.exec(body)?.[1];
  if (pace === undefined) stream(socket);
  else paced(socket, Number(pace));
}

const server = net.createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => {});
  let buffer = '';
  socket.on('data', (data) => {
    buffer += data.toString('latin1');
    for (;;) {
      const end = buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = buffer.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (buffer.length < end + 4 + length) return;
      answer(socket, buffer.slice(end + 4, end + 4 + length));
      buffer = buffer.slice(end + 4 + length);
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as net.AddressInfo).port });
});
process.on('disconnect', () => process.exit(0));
