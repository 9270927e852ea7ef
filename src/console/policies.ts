/**
 * Pushing policies: `PUT` of a set, a file a line (`{"path": …, "text": …}`), on the admin socket and on the public listener.
 * `If-Match` names the revision that must be in force (RFC 9110 §13.1.1); `?check=true` changes nothing.
 */
import { type Context, Hono } from 'hono';
import { clientAddressOf } from './oauth/place.ts';
import type { KnownCaller, Proven } from './oauth/sources.ts';

/** What a push is made of. Files are fed line by line, so that none of it is long in work. */
export interface PushTurn {
  /** @returns why the line is not taken, or undefined */
  add(line: string): string | undefined;
  /** Validates, keeps and puts in force what was added. Rejects when it cannot be kept or recorded: the old set stays. */
  end(push: {
    readonly by: string;
    readonly expect: string | undefined;
    readonly dryRun: boolean;
  }): Promise<PushOutcome>;
}

export type PushOutcome =
  | { readonly ok: true; readonly revision: string; readonly isNew: boolean }
  /** `problems`: `file:line:column: message`. */
  | { readonly ok: false; readonly code: 'invalid'; readonly problems: readonly string[] }
  | { readonly ok: false; readonly code: 'conflict'; readonly revision: string };

export interface PolicyPusher {
  /** Revision in force. */
  readonly revision: () => string;
  /** undefined: this gateway takes no pushes; `elsewhere` says where its policies come from. */
  readonly begin: (() => PushTurn) | undefined;
  readonly elsewhere: string;
}

/** 4 MiB of text, with what JSON adds to it. */
const maxBodyBytes = 12_582_912;
/** A file has a megabyte at most; an escape takes six characters at most. */
const maxLineBytes = 6_400_000;
const maxProblems = 200;

interface PushAnswer {
  readonly status: 200 | 400 | 408 | 409 | 412 | 413 | 422 | 503;
  readonly body: object;
}

/** What the public listener's `PUT /policies` is made of. */
export interface PushSources {
  readonly pusher: PolicyPusher;
  /** Whose members may push. */
  readonly groups: readonly string[];
  readonly newSession: () => string;
  /** Says who sends a request, as the request gate does. */
  readonly identify: (request: Request) => Promise<Proven<KnownCaller>>;
  /** How the request gate answers a reason. */
  readonly refusal: (
    reason: string,
    session: string,
  ) => { readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly body: string };
  /** Puts on the record who was refused and why; not waited for. */
  readonly refused: (refused: {
    readonly session: string;
    readonly clientAddress: string;
    readonly code: string;
    readonly status: number;
    readonly detail: string;
    readonly caller: KnownCaller | undefined;
  }) => void;
}

/** `PUT /policies` for callers in one of the groups. Nothing of the body is read before that is known. */
export function createPushApp(sources: PushSources): Hono {
  const app = new Hono();
  app.put('/policies', async (c) => {
    const session = sources.newSession();
    const place = { session, clientAddress: clientAddressOf(c) };
    const proven = await sources.identify(c.req.raw);
    if (!proven.ok) {
      const { status, headers, body } = sources.refusal(proven.reason, session);
      sources.refused({ ...place, code: proven.reason, status, detail: proven.detail, caller: undefined });
      return new Response(body, { status, headers: headers.map(([name, value]): [string, string] => [name, value]) });
    }
    const { caller } = proven;
    if (!caller.groups.some((group) => sources.groups.includes(group))) {
      const message = 'You are in none of the groups that may push policies here (policies.push.groups).';
      sources.refused({ ...place, code: 'policy_push_denied', status: 403, detail: '', caller });
      c.header('x-sallyport-session', session);
      return c.json(no(403, 'policy_push_denied', message).body, 403);
    }
    return answerPush(c, sources.pusher, `${caller.provider}/${caller.subject}`);
  });
  return app;
}

const no = <S extends number>(status: S, code: string, message: string, more: object = {}) => ({
  status,
  body: { error: { code, message, ...more } },
});

/** Answers a push of somebody who may. @param deadlineMs until all of the body must be there */
export async function answerPush(c: Context, pusher: PolicyPusher, by: string, deadlineMs = 30_000): Promise<Response> {
  const answer = await push(c, pusher, by, deadlineMs);
  c.header('cache-control', 'no-store');
  c.header('etag', `"${pusher.revision()}"`);
  return c.json(answer.body, answer.status);
}

async function push(c: Context, pusher: PolicyPusher, by: string, deadlineMs: number): Promise<PushAnswer> {
  const { begin, elsewhere } = pusher;
  if (begin === undefined)
    return no(
      409,
      'push_not_taken',
      `This gateway takes no pushes: its policies come from ${elsewhere} (policies.source).`,
    );
  const expect = expected(c.req.header('if-match'));
  if (expect === null)
    return no(400, 'invalid_argument', 'If-Match must be one revision in quotes, as in "sha256:0123456789abcdef".');
  const dryRun = isCheck(c.req.queries());
  if (typeof dryRun === 'string') return no(400, 'invalid_argument', dryRun);
  if (inWork.get(pusher) === maxInWork) return no(503, 'push_failed', 'Too many push at once.');
  inWork.set(pusher, (inWork.get(pusher) ?? 0) + 1);
  try {
    return await take(c.req.raw, begin(), { by, expect, dryRun }, deadlineMs);
  } finally {
    inWork.set(pusher, (inWork.get(pusher) ?? 1) - 1);
  }
}

/** Pushes that are read at once: each may hold some megabytes. */
const maxInWork = 4;
const inWork = new WeakMap<PolicyPusher, number>();

async function take(
  request: Request,
  turn: PushTurn,
  asked: Parameters<PushTurn['end']>[0],
  deadlineMs: number,
): Promise<PushAnswer> {
  const wrong = await readLines(request, (line) => turn.add(line), deadlineMs);
  if (wrong !== undefined) return no(wrong.status, 'invalid_argument', wrong.message);
  try {
    const outcome = await turn.end(asked);
    const done = asked.dryRun ? { checked: true } : { inForce: true };
    if (outcome.ok) return { status: 200, body: { revision: outcome.revision, new: outcome.isNew, ...done } };
    if (outcome.code === 'conflict')
      return no(412, 'revision_conflict', 'Another revision is in force than the one that this push names.', {
        revision: outcome.revision,
      });
    return no(422, 'policies_invalid', 'The policies have problems; those in force stay.', {
      problems: outcome.problems.slice(0, maxProblems),
      count: outcome.problems.length,
    });
  } catch {
    return no(503, 'push_failed', 'The policies could not be kept or put on the record; those in force stay.');
  }
}

/** Whether only a check is asked for, or what is wrong with the query: a misspelled `check` must not be a push. */
function isCheck(query: Readonly<Record<string, readonly string[]>>): boolean | string {
  if (Object.keys(query).some((name) => name !== 'check')) return 'The query may have check=true, and nothing else.';
  const { check: values = ['false'] } = query;
  const [value = ''] = values;
  return values.length === 1 && /^(?:true|false)$/.test(value)
    ? value === 'true'
    : 'check must be true or false, once.';
}

/** undefined: any; null: it is not one strong tag. */
function expected(header: string | undefined): string | undefined | null {
  if (header === undefined || header === '*') return undefined;
  return /^"([\x21\x23-\x7e]{1,128})"$/.exec(header)?.[1] ?? null;
}

interface WrongBody {
  readonly status: 400 | 408 | 413;
  readonly message: string;
}

/** Gives each line as soon as it is there; stops at the first that is wrong. */
async function readLines(
  request: Request,
  take: (line: string) => string | undefined,
  deadlineMs: number,
): Promise<WrongBody | undefined> {
  if (request.body === null) return { status: 400, message: 'There is no body: a policy file a line is expected.' };
  const reader = request.body.getReader();
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), deadlineMs);
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let bytes = 0;
  const line = (): string | undefined => {
    const whole = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    if (whole.length === 0) return undefined;
    try {
      return take(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(whole));
    } catch {
      return 'the body is not UTF-8';
    }
  };
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === 'late') return { status: 408, message: 'The body did not arrive in time.' };
      const last = read.done;
      let rest = last ? Buffer.alloc(0) : Buffer.from(read.value);
      bytes += rest.length;
      if (bytes > maxBodyBytes) return { status: 413, message: `The body is longer than ${maxBodyBytes} bytes.` };
      for (let at = rest.indexOf(0x0a); at >= 0; at = rest.indexOf(0x0a)) {
        pending.push(rest.subarray(0, at));
        rest = rest.subarray(at + 1);
        const wrong = line();
        if (wrong !== undefined) return { status: 400, message: wrong };
      }
      pending.push(rest);
      pendingBytes += rest.length;
      if (pendingBytes > maxLineBytes) return { status: 413, message: 'A line of the body is too long.' };
      if (!last) continue;
      const wrong = line();
      return wrong === undefined ? undefined : { status: 400, message: wrong };
    }
  } catch {
    return { status: 400, message: 'The body ended early.' };
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}
