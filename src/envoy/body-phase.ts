/** The response's body and trailers: masked, asked the rules about, recorded, and only then let go. */
import { paced } from '../exchange/pace.ts';
import type { ToolCall } from '../exchange/tool-calls.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { ResponseBody } from '../mask/bodies.ts';
import type { Released } from '../mask/contract.ts';
import type { Delivered } from './delivered.ts';
import { CONTINUE_RESPONSE_BODY, encodeResponseBody, encodeResponseTrailers, HOLD_RESPONSE_BODY } from './encode.ts';
import type { GateStream } from './gate-stream.ts';
import type { GrpcMessage } from './grpc.ts';
import type { Stop } from './response-rules.ts';
import { joined } from './stream-reading.ts';
import { decodeHeaderMap, type ProcessingRequest } from './wire.ts';

const NOTHING = Buffer.alloc(0);

/** Most of an answer that waits for a tool call to be complete. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
const TOO_MUCH_HELD: Stop = {
  by: 'tool_calls_too_long',
  message: `A tool call of the answer has not ended after ${MAX_HELD_BYTES} bytes, and rules are asked about it before it leaves.`,
};

export function responseBody(stream: GateStream, message: ProcessingRequest): Promise<void> | undefined {
  const { body } = stream;
  if (body === undefined) throw new Error('a response body before its headers');
  // A body that is whole before its headers are answered is sent in one chunk, and Envoy holds the headers with it.
  stream.headersGone ||= stream.chunk !== undefined || !message.endOfStream;
  stream.chunk = { bytes: message.body.length, endOfStream: message.endOfStream };
  stream.unsent = NOTHING;
  if (message.endOfStream) return lastChunk(stream, message, body);
  const released = body.delivery.push(message.body);
  if (released instanceof Promise) return released.then((later) => release(stream, message, later));
  return release(stream, message, released);
}

async function lastChunk(stream: GateStream, message: ProcessingRequest, body: ResponseBody): Promise<void> {
  const first = await body.delivery.push(message.body);
  stream.unsent = first.bytes;
  const rest = await body.delivery.end();
  const bytes = joined(first.bytes, rest.bytes);
  await release(stream, message, { bytes, terminal: true }, true);
}

/** Ask the rules, record, then let go: written before every chunk, durable before the terminal one. */
function release(
  stream: GateStream,
  message: ProcessingRequest,
  released: Released,
  last = false,
): Promise<void> | undefined {
  const calls = stream.body?.calls;
  if (calls === undefined) return look(stream, message, released, last);
  const complete = paced(calls.take());
  const asked = (about: readonly ToolCall[]) => afterCalls(stream, message, { released, last, about });
  return complete instanceof Promise ? complete.then(asked) : asked(complete);
}

interface WithCalls {
  readonly released: Released;
  readonly last: boolean;
  /** The tool calls that are complete with it. */
  readonly about: readonly ToolCall[];
}

/** What has a piece of a tool call leaves once the call is complete and no rule stops it, and what comes after it behind it. */
function afterCalls(
  stream: GateStream,
  message: ProcessingRequest,
  { released, last, about }: WithCalls,
): Promise<void> | undefined {
  const { body, delivered, plan, rules } = stream;
  if (stream.phase === 'over' || delivered === undefined || plan === undefined) return undefined;
  const length = stream.heldBytes + released.bytes.length;
  const holds = body?.calls?.holds === true && !last;
  let stop = holds && length > MAX_HELD_BYTES ? TOO_MUCH_HELD : undefined;
  for (const call of about) stop ??= rules?.atToolCall(delivered, call, delivered.bytes + length);
  if (stop !== undefined) return stream.stop(stop, plan, joined(stream.takeHeld(), released.bytes));
  if (!holds) return look(stream, message, { ...released, bytes: joined(stream.takeHeld(), released.bytes) }, last);
  stream.hold(released.bytes);
  return look(stream, message, { bytes: NOTHING, terminal: released.terminal }, last);
}

function look(
  stream: GateStream,
  message: ProcessingRequest,
  released: Released,
  last: boolean,
): Promise<void> | undefined {
  const { delivered } = stream;
  if (stream.phase === 'over' || delivered === undefined) return undefined;
  const kept = delivered.look(released.bytes, last);
  return kept instanceof Promise
    ? kept.then((later) => recorded(stream, message, { released, delivered, kept: later, last }))
    : recorded(stream, message, { released, delivered, kept, last });
}

interface Looked {
  readonly released: Released;
  readonly delivered: Delivered;
  /** What the record keeps of it. */
  readonly kept: Buffer;
  readonly last: boolean;
}

function recorded(stream: GateStream, message: ProcessingRequest, looked: Looked): Promise<void> | undefined {
  if (stream.phase === 'over') return undefined;
  const { released, delivered, last } = looked;
  const stop = stream.rules?.atPiece(delivered, released);
  if (stop !== undefined && stream.plan !== undefined) return stream.stop(stop, stream.plan, released.bytes);
  const leaves = stream.body?.restoring?.push(released.bytes, last) ?? released.bytes;
  return leaves instanceof Promise
    ? leaves.then((later) => leave(stream, message, looked, later))
    : leave(stream, message, looked, leaves);
}

/** `bytes`: the piece with the values of the request put back in it, which the record does not get. */
function leave(
  stream: GateStream,
  message: ProcessingRequest,
  { released: { terminal }, delivered, kept }: Looked,
  bytes: Buffer,
): Promise<void> | undefined {
  if (stream.phase === 'over') return undefined;
  stream.options.observe.chunk(message.body.length, bytes.length);
  const answer = bytes.equals(message.body) ? CONTINUE_RESPONSE_BODY : encodeResponseBody(bytes);
  const added = delivered.add(bytes, kept);
  if (added !== undefined) return added.then(() => letGo(stream, answer, terminal));
  return letGo(stream, answer, terminal);
}

function letGo(stream: GateStream, answer: GrpcMessage, terminal: boolean): Promise<void> | undefined {
  if (terminal || stream.terminal) return stream.afterDurable(answer);
  stream.options.recorder.written().then(
    () => stream.write(answer),
    (error: unknown) => {
      stream.fail('record_unavailable', error);
    },
  );
  return undefined;
}

/** What the model says after the end of its answer. */
export function swallow(stream: GateStream, message: ProcessingRequest): undefined {
  if (message.kind === 'response_body') {
    stream.options.observe.chunk(message.body.length, 0);
    return stream.pass(HOLD_RESPONSE_BODY);
  }
  if (message.kind !== 'response_trailers') return undefined;
  return stream.pass(encodeResponseTrailers(decodeHeaderMap(message.headerMap).map(([name]) => name)));
}

/** HTTP/2 trailers: none pass, and nothing can be added any more, so text that is still held ends the stream. */
export async function responseTrailers(stream: GateStream, message: ProcessingRequest): Promise<void> {
  const { body, delivered, plan } = stream;
  stream.chunk = undefined;
  stream.headersGone = true;
  const rest = body === undefined || stream.terminal ? undefined : await body.delivery.end();
  const restored = rest === undefined ? undefined : await body?.restoring?.push(rest.bytes, true);
  if ((restored ?? rest?.bytes ?? NOTHING).length > 0 || stream.takeHeld().length > 0) {
    return stream.fail(
      'response_unreadable',
      new UnreadableBody('the model ended with trailers while text was held back'),
    );
  }
  if (!stream.terminal && delivered !== undefined) {
    const released = { bytes: NOTHING, terminal: true };
    const kept = await delivered.look(NOTHING, true);
    const stop = stream.rules?.atPiece(delivered, released);
    if (stop !== undefined && plan !== undefined) return stream.stop(stop, plan);
    await delivered.add(NOTHING, kept);
  }
  const names = decodeHeaderMap(message.headerMap).map(([name]) => name);
  await stream.afterDurable(encodeResponseTrailers(names));
}
