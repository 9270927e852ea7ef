/** Reads application/x-www-form-urlencoded strictly: what two readers could read differently is refused. */

export interface GoodForm {
  readonly ok: true;
  readonly fields: ReadonlyMap<string, string>;
  readonly bytes: number;
}

export type Form =
  | GoodForm
  | { readonly ok: false; readonly status: 400 | 408 | 413 | 415 | 503; readonly problem: string };

const maxFields = 64;
/** What each body may have without asking: as many as there are connections. */
const freeBytes = 65_536;

/** What all long bodies may hold together while they are read. */
export class UploadBudget {
  #left: number;
  constructor(bytes: number) {
    this.#left = bytes;
  }
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
  give(bytes: number): void {
    this.#left += bytes;
  }
}

export interface FormLimits {
  readonly maxBytes: number;
  /** Milliseconds until all of the body must be there. */
  readonly deadlineMs: number;
  readonly budget: UploadBudget;
}

/** Parameters without a value are left out (RFC 6749 §3.1); none may be there twice (§3.2). */
export async function readForm(request: Request, limits: FormLimits): Promise<Form> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded')
    return { ok: false, status: 415, problem: 'The body must be application/x-www-form-urlencoded.' };
  if (request.headers.has('content-encoding'))
    return { ok: false, status: 415, problem: 'The body must not be encoded.' };
  if (Number(request.headers.get('content-length') ?? '0') > limits.maxBytes) return tooLong(limits);
  return request.body === null ? parseForm('') : readBody(request.body.getReader(), limits);
}

const tooLong = ({ maxBytes }: FormLimits) =>
  ({ ok: false, status: 413, problem: `The body is longer than ${maxBytes} bytes.` }) as const;

async function readBody(reader: ReadableStreamDefaultReader<Uint8Array>, limits: FormLimits): Promise<Form> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let held = 0;
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), limits.deadlineMs);
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === 'late') return { ok: false, status: 408, problem: 'The body did not arrive in time.' };
      if (read.done) return parseForm(Buffer.concat(chunks).toString('latin1'), bytes);
      bytes += read.value.length;
      if (bytes > limits.maxBytes) return tooLong(limits);
      const more = Math.max(0, bytes - freeBytes) - held;
      if (!limits.budget.take(more)) return { ok: false, status: 503, problem: 'Too many long bodies at once.' };
      held += more;
      chunks.push(read.value);
    }
  } catch {
    // Whoever sent it went away: no fault of ours.
    return { ok: false, status: 400, problem: 'The body ended early.' };
  } finally {
    clearTimeout(timer);
    limits.budget.give(held);
    reader.cancel().catch(() => {});
  }
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
