/** How the OAuth endpoints answer: RFC 6749 §5.1 and §5.2 for programs, a small page for people. */
import type { Context } from 'hono';
import { html } from 'hono/html';

export type OauthError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'temporarily_unavailable'
  | 'access_denied'
  | 'server_error';

/** An OAuth request that is answered no. `description` is for the caller, `detail` for the record. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: 400 | 401 | 408 | 413 | 415 | 500 | 503;
  readonly error: OauthError;
  readonly description: string;
  /** Row of the error table, where the identity was refused. */
  readonly reason: string;
  readonly detail: string;

  constructor(
    status: Refused['status'],
    error: OauthError,
    description: string,
    more: { readonly reason?: string; readonly detail?: string; readonly cause?: unknown } = {},
  ) {
    super(description, { cause: more.cause });
    this.status = status;
    this.error = error;
    this.description = description;
    this.reason = more.reason ?? '';
    this.detail = more.detail ?? '';
  }
}

/** RFC 6749 §5.1: no answer that is about a credential is kept. */
export function answerJson(c: Context, status: 200 | Refused['status'], body: object): Response {
  c.header('cache-control', 'no-store');
  c.header('pragma', 'no-cache');
  return c.json(body, status);
}

export function answerRefusal(c: Context, refused: Refused, session: string): Response {
  if (refused.status === 503) c.header('retry-after', '5');
  // RFC 6749 §5.2: of the scheme that the client tried.
  if (refused.status === 401) c.header('www-authenticate', 'Basic realm="sallyport"');
  c.header('x-sallyport-session', session);
  return answerJson(c, refused.status, { error: refused.error, error_description: plain(refused.description) });
}

/** Characters that `error_description` may have (RFC 6749 §5.2). */
export const plain = (text: string): string =>
  text.replaceAll(/[‘’"]/g, "'").replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?');

const policyOf = (formAction: string): string =>
  `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action ${formAction}`;

/** What a person sees whose sign-in did not work. */
export function answerPage(
  c: Context,
  status: 400 | 404 | 408 | 413 | 415 | 500 | 503,
  page: { readonly title: string; readonly what: string; readonly todo: string; readonly session: string },
): Response | Promise<Response> {
  const body = html`<p>${page.what}</p>
    <p>${page.todo}</p>
    <p><small>For whoever runs the gateway: <code>${page.session}</code></small></p>`;
  return write(c, status, { title: page.title, body, formAction: "'none'" });
}

/** Asks the person whether the sign-in is the one of the terminal in front of them. */
export function answerQuestion(
  c: Context,
  ask: {
    readonly who: string;
    readonly code: string;
    readonly action: string;
    readonly ticket: string;
    readonly seal: string;
    /** Where the answer leads on to: browsers hold redirects of a form to its policy, too. */
    readonly redirectUri: string;
  },
): Response | Promise<Response> {
  const body = html`<p><code>sallyport login</code> on this machine wants to go on as <strong>${ask.who}</strong>.</p>
    <p>Go on only if your terminal shows the same code:</p>
    <p class="code"><code>${ask.code}</code></p>
    <form method="post" action="${ask.action}">
      <input type="hidden" name="ticket" value="${ask.ticket}" />
      <input type="hidden" name="seal" value="${ask.seal}" />
      <button type="submit">My terminal shows this code: sign in</button>
    </form>
    <p>It shows another one, or you did not run <code>sallyport login</code>? Close this window: nothing has been given out.</p>`;
  const { origin, hostname } = new URL(ask.redirectUri);
  // A policy cannot name an IPv6 address (CSP 3 §2.3.1, host-source).
  const formAction = `'self' ${hostname.startsWith('[') ? 'http:' : origin}`;
  return write(c, 200, { title: 'Sign in on this machine?', body, formAction });
}

type Html = ReturnType<typeof html>;

function write(
  c: Context,
  status: 200 | 400 | 404 | 408 | 413 | 415 | 500 | 503,
  { title, body, formAction }: { readonly title: string; readonly body: Html; readonly formAction: string },
): Response | Promise<Response> {
  c.header('content-security-policy', policyOf(formAction));
  c.header('cache-control', 'no-store');
  c.header('referrer-policy', 'no-referrer');
  c.header('x-content-type-options', 'nosniff');
  return c.html(
    html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>${title}</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
      code { font-family: ui-monospace, monospace; }
      .code { font-size: 2rem; }
      button { font: inherit; padding: 0.5rem 1rem; }
    </style>
  </head>
  <body>
    <h1>${title}</h1>
    ${body}
  </body>
</html>`,
    status,
  );
}
