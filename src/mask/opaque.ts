/** Bodies of which nothing is said but their length and digest: what passes, and what the record keeps of it. */
import { createHash, type Hash } from 'node:crypto';
import type { Usage } from '../exchange/facts.ts';
import { paced, type Work } from '../exchange/pace.ts';
import { UnreadableBody } from '../exchange/unreadable.ts';
import type { BodyMasker, Released } from './contract.ts';
import { jsonInside, wholeEnd } from './escaped-string.ts';
import { joined } from './joined.ts';

const nothing = Buffer.alloc(0);
const noUsage: Usage = { inputTokens: undefined, outputTokens: undefined, textBytes: 0 };
/** Bytes hashed, and characters written, in one step: a fraction of a millisecond. */
const sliceBytes = 256 * 1024;
const sliceCharacters = 64 * 1024;

/** Passes a body as it comes. */
export class OpaqueBody implements BodyMasker {
  readonly findings: ReadonlyMap<string, number> = new Map();
  readonly usage = noUsage;

  push(chunk: Uint8Array): Released {
    return { bytes: Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), terminal: false };
  }

  end(): Released {
    return { bytes: nothing, terminal: true };
  }

  salvage(): Buffer {
    return nothing;
  }

  closing(): undefined {
    return undefined;
  }
}

/** Takes a body in, and gives at its end what the record keeps: `{"opaque":{"bytes":…,"sha256":"…"}}`. */
export class OpaqueDigest implements BodyMasker {
  readonly findings: ReadonlyMap<string, number> = new Map();
  readonly usage = noUsage;
  private readonly hash: Hash = createHash('sha256');
  private bytes = 0;

  push(chunk: Uint8Array): Released | Promise<Released> {
    this.bytes += chunk.byteLength;
    return paced(this.take(chunk));
  }

  end(): Released {
    return { bytes: Buffer.from(`{${digestMember(this.bytes, this.hash)}}}`), terminal: true };
  }

  salvage(): Buffer {
    return nothing;
  }

  closing(): undefined {
    return undefined;
  }

  private *take(chunk: Uint8Array): Work<Released> {
    yield* update(this.hash, chunk);
    return { bytes: nothing, terminal: false };
  }
}

/** A body that has to be empty. */
export class NoBody implements BodyMasker {
  readonly findings: ReadonlyMap<string, number> = new Map();
  readonly usage = noUsage;

  push(chunk: Uint8Array): Released {
    if (chunk.byteLength > 0) throw new UnreadableBody('a body without a content type');
    return { bytes: nothing, terminal: false };
  }

  end(): Released {
    return { bytes: nothing, terminal: true };
  }

  salvage(): Buffer {
    return nothing;
  }

  closing(): undefined {
    return undefined;
  }
}

/** What the record keeps of a request's body, as JSON: length, digest, and the text in it, not masked yet. */
export function* opaqueKept(body: Uint8Array, text: string): Work<Buffer> {
  const hash = createHash('sha256');
  yield* update(hash, body);
  const parts = [Buffer.from(`{${digestMember(body.byteLength, hash)}${text === '' ? '' : ',"text":"'}`)];
  for (let at = 0; at < text.length; ) {
    const end = wholeEnd(text, at + sliceCharacters);
    parts.push(Buffer.from(jsonInside(text.slice(at, end))));
    at = end;
    yield;
  }
  parts.push(Buffer.from(text === '' ? '}}' : '"}}'));
  return yield* joined(parts);
}

/** Without the braces that close it. */
function digestMember(bytes: number, hash: Hash): string {
  return `"opaque":{"bytes":${bytes},"sha256":"${hash.digest('hex')}"`;
}

function* update(hash: Hash, bytes: Uint8Array): Work<void> {
  for (let at = 0; at < bytes.byteLength; at += sliceBytes) {
    if (at > 0) yield;
    hash.update(bytes.subarray(at, at + sliceBytes));
  }
}
