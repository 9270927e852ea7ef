/** Reads application/x-www-form-urlencoded strictly: what two readers could read differently is refused. */

export type Form =
  | { readonly ok: true; readonly fields: ReadonlyMap<string, string>; readonly bytes: number }
  | { readonly ok: false; readonly status: 400 | 413 | 415; readonly problem: string };

const maxFields = 64;

/** Parameters without a value are left out (RFC 6749 §3.1); none may be there twice (§3.2). */
export async function readForm(request: Request, maxBytes: number): Promise<Form> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded')
    return { ok: false, status: 415, problem: 'The body must be application/x-www-form-urlencoded.' };
  if (request.headers.has('content-encoding'))
    return { ok: false, status: 415, problem: 'The body must not be encoded.' };
  const tooLong = { ok: false, status: 413, problem: `The body is longer than ${maxBytes} bytes.` } as const;
  if (Number(request.headers.get('content-length') ?? '0') > maxBytes) return tooLong;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) return tooLong;
    chunks.push(chunk);
  }
  return parseForm(Buffer.concat(chunks).toString('latin1'), bytes);
}

/** @param text of a body or a query, without `?` */
export function parseForm(text: string, bytes = text.length): Form {
  const refuse = (problem: string): Form => ({ ok: false, status: 400, problem });
  const fields = new Map<string, string>();
  const parts = text === '' ? [] : text.split('&');
  if (parts.length > maxFields) return refuse('There are too many parameters.');
  for (const part of parts) {
    const at = part.indexOf('=');
    const name = decode(at < 0 ? part : part.slice(0, at));
    const value = decode(at < 0 ? '' : part.slice(at + 1));
    if (name === undefined || value === undefined) return refuse('The parameters are not well encoded.');
    if (fields.has(name)) return refuse('A parameter is there twice.');
    fields.set(name, value);
  }
  for (const [name, value] of fields) if (value === '') fields.delete(name);
  return { ok: true, fields, bytes };
}

/** Undefined for bytes outside ASCII, bad percent escapes, and escapes that are not UTF-8. */
function decode(text: string): string | undefined {
  if (/[^\x21-\x7e]/.test(text)) return undefined;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
