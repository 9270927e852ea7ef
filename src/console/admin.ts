import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';
import { type Archive, type Look, QueryError } from './archive.ts';
import { answerPush, type PolicyPusher } from './policies.ts';
import { choosesFormat } from './sql-text.ts';

const filterSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(20),
  who: z.string().min(1).max(512).optional(),
  model: z.string().min(1).max(256).optional(),
  verdict: z.enum(['allow', 'deny', 'requireApproval', 'limit', 'refused']).optional(),
  sinceMs: z.coerce.number().int().min(0).optional(),
});

const recordedSchema = z.strictObject({
  sinceMs: z.coerce.number().int().min(0),
  untilMs: z.coerce.number().int().min(0),
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

/** The `jti` of a token that the gateway issued: 16 random bytes in base64url. */
export const tokenIdPattern = /^[A-Za-z0-9_-]{22}$/;

const revocationSchema = z.union(
  [
    z.strictObject({ tokenId: z.string().regex(tokenIdPattern) }),
    z.strictObject({ provider: z.string().min(1).max(64), subject: z.string().min(1).max(2048) }),
  ],
  'either tokenId (22 characters of base64url), or provider and subject',
);

/** What an operator takes back: one token that the gateway issued, or all that somebody holds. */
export type Revocation = z.output<typeof revocationSchema>;

/** Takes credentials back, and puts that on the record. */
export interface Revoker {
  /**
   * `unknown_provider`: there is none of that name; `not_our_token`: no token of the gateway has such an id. Nothing was done
   * then. Rejects when the control state is out of reach.
   * `recorded` rejects when it is in force but not on the record.
   */
  revoke(
    what: Revocation,
    reader: string,
  ): Promise<
    | { readonly ok: true; readonly recorded: Promise<void> }
    | { readonly ok: false; readonly code: keyof typeof notRevoked }
  >;
}

const notRevoked = {
  unknown_provider: 'No identity provider of this name is configured.',
  not_our_token:
    'Tokens of this gateway have ids of 22 characters (credential.tokenId on the record). Of a provider, take back the subject.',
} as const;

const sqlSchema = z.strictObject({ query: z.string().min(1).max(100_000), write: z.boolean().default(false) });

/** Header in which the CLI names the OS user. Whoever can connect is that user or root: the socket's mode is 0600. */
export const readerHeader = 'x-sallyport-reader';

/**
 * The app behind the admin socket, which the CLI talks to. Every look is put on the record before it is answered; if it
 * cannot be, the answer is 503 and nothing is shown. Errors: `{error: {code, message}}`.
 */
export function createAdminApp(archive: Archive, revoker?: Revoker, pusher?: PolicyPusher): Hono {
  const app = new Hono();
  const record = async (look: Look) => {
    try {
      await archive.looked(look);
    } catch (error) {
      throw failure(
        503,
        'look_not_recorded',
        'This look could not be put on the record, so it did not take place.',
        error,
      );
    }
  };

  app.get('/v1/sessions', async (c) => {
    const filter = parse(filterSchema, c.req.query());
    const { limit, ...where } = filter;
    await record({
      action: 'list',
      reader: reader(c.req.header(readerHeader)),
      subject: JSON.stringify({ limit, ...where }),
    });
    return c.json({ sessions: await archive.sessions(dropUndefined(filter)) });
  });

  for (const action of ['show', 'explain'] as const)
    app.get(`/v1/sessions/:id/${action}`, async (c) => {
      const id = sessionId(c.req.param('id'));
      await record({ action, reader: reader(c.req.header(readerHeader)), subject: id });
      const session = await archive.session(id);
      if (session === undefined) throw failure(404, 'session_unknown', `There is no session ${id} on the record.`);
      // `explain` tells why, not what was said.
      return c.json({
        session: action === 'explain' ? { ...session, request: undefined, response: undefined } : session,
      });
    });

  app.get('/v1/recorded', async (c) => {
    const filter = parse(recordedSchema, c.req.query());
    await record({ action: 'backtest', reader: reader(c.req.header(readerHeader)), subject: JSON.stringify(filter) });
    return c.json({ sessions: await archive.recorded(filter) });
  });

  app.post('/v1/sql', async (c) => {
    const { query, write } = parse(sqlSchema, await c.req.json().catch(() => undefined));
    if (choosesFormat(query))
      throw failure(
        400,
        'format_chosen',
        'The query must not say FORMAT or INTO OUTFILE: it is answered as a table, or as JSON with --json.',
      );
    const subject = write ? `(--write) ${query}` : query;
    await record({ action: 'sql', reader: reader(c.req.header(readerHeader)), subject });
    try {
      return c.json(await archive.sql(query, { write }));
    } catch (error) {
      if (error instanceof QueryError && !write && /\(READONLY\)|readonly mode/.test(error.message))
        throw failure(400, 'sql_reads_only', 'This query would change the record, and sql only reads.', error);
      if (error instanceof QueryError) throw failure(400, error.code, error.message, error);
      throw error;
    }
  });

  if (revoker !== undefined)
    app.post('/v1/revocations', async (c) => {
      const by = reader(c.req.header(readerHeader));
      const what = parse(revocationSchema, await c.req.json().catch(() => undefined));
      await revoke(revoker, what, by);
      return c.json({ revoked: what });
    });

  if (pusher !== undefined) app.put('/v1/policies', (c) => answerPush(c, pusher, reader(c.req.header(readerHeader))));

  app.notFound((c) => c.json({ error: { code: 'not_found', message: 'This gateway has no such action.' } }, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    return c.json({ error: { code: 'archive_failed', message: `The record could not be read (${error.name}).` } }, 500);
  });
  return app;
}

async function revoke(revoker: Revoker, what: Revocation, by: string): Promise<void> {
  const outcome = await revoker.revoke(what, by).catch((error: unknown) => {
    throw failure(
      503,
      'revocation_failed',
      'The control state does not take it: only this gateway process refuses the credential, and only until it is restarted.',
      error,
    );
  });
  if (!outcome.ok) throw failure(400, outcome.code, notRevoked[outcome.code]);
  await outcome.recorded.catch((error: unknown) => {
    throw failure(503, 'revocation_not_recorded', 'It is in force, but could not be put on the record.', error);
  });
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue?.path.join('.') || 'the request';
  throw failure(400, 'invalid_argument', `${at}: ${issue?.message ?? 'not valid'}`);
}

/** Session ids are UUIDs; anything else is not looked up. */
function sessionId(id: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) return id.toLowerCase();
  throw failure(400, 'invalid_argument', 'A session id looks like 0198c2f4-1d2a-7c3b-8e4f-0123456789ab.');
}

function reader(header: string | undefined): string {
  if (header !== undefined && /^[\x21-\x7e]{1,128}$/.test(header)) return header;
  throw failure(400, 'invalid_argument', `The header ${readerHeader} must name the OS user who looks.`);
}

function failure(status: 400 | 404 | 503, code: string, message: string, cause?: unknown): HTTPException {
  return new HTTPException(status, { res: Response.json({ error: { code, message } }, { status }), cause });
}

/** zod's optional keys are present as undefined; the filter has them or has them not. */
function dropUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
