import type { CustomFetchOptions } from 'openid-client';

/** Longest answer of a gateway or provider that is read, bytes; the longest that are known are lists of keys. */
const maxBytes = 256 * 1024;

/** `fetch` with the whole body read. One that is longer than 256 KiB is taken for an empty one, which is no JSON. */
export async function boundedFetch(url: string, init: CustomFetchOptions | RequestInit): Promise<Response> {
  const response = await fetch(url, init as RequestInit);
  const body = await readShort(response);
  // Response takes no other status, whatever a server sends.
  const status = Math.min(response.status, 599);
  return new Response(body.length === 0 ? null : body, { status, headers: response.headers });
}

async function readShort(response: Response): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) return Buffer.alloc(0);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
