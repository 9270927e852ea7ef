/** The pages of the demo's provider: who one is, and the code of a device. Texts are escaped; nothing is loaded from elsewhere. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { html, raw } from 'hono/html';
import { errors, type PageContext, type default as Provider } from 'oidc-provider';
import { identities, peopleClient } from './people.ts';

const maxFormBytes = 4_096;

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  // No form-action: the answer to a form is a redirect to the loopback port of `sallyport login`.
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
};

type Html = ReturnType<typeof html>;

const page = (title: string, content: Html) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Demo sign-in: ${title}</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem; }
      button { font: inherit; padding: 0.4rem 0.8rem; margin: 0.2rem 0.4rem 0.2rem 0; }
      code { font: 1.6rem ui-monospace, monospace; }
    </style>
  </head>
  <body>
    <h1>${title}</h1>
    ${content}
    <p><small>The identity provider of Sallyport's demo. It asks for no password and is reached from this machine only.</small></p>
  </body>
</html>
`;

const people = identities.filter(({ kind }) => kind === 'person');

const choice = () =>
  page(
    'Who are you?',
    html`<form method="post">
      ${people.map(({ id, name }) => html`<button name="person" value="${id}">Sign in as ${id} (${name})</button>`)}
      <p><button name="person" value="">Cancel</button></p>
    </form>`,
  );

/** Answers `<path><uid>`: GET shows the choice, POST takes it. Who has no sign-in under way gets 400. */
export function createSignInPage(provider: Provider, path: string) {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const interaction = await provider.interactionDetails(request, response);
    if (request.url !== `${path}${interaction.uid}`) throw new errors.SessionNotFound('not this one');
    if (request.method === 'GET') return send(response, 200, choice());
    if (request.method !== 'POST') return send(response, 405, page('Not here', html`<p>Use the page.</p>`));
    const person = new URLSearchParams(await readForm(request)).get('person');
    const result = people.some(({ id }) => id === person)
      ? { login: { accountId: person, remember: false }, consent: {} }
      : { error: 'access_denied', error_description: 'nobody was chosen' };
    await provider.interactionFinished(request, response, result);
  };
  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(async (error: unknown) => {
      if (response.headersSent) return void response.destroy();
      const isLost = error instanceof errors.SessionNotFound;
      const text = isLost ? 'There is no such sign-in, or it is over. Start again.' : 'That could not be read.';
      await send(response, 400, page('No sign-in', html`<p>${text}</p>`));
    });
  };
}

async function send(response: ServerResponse, status: number, body: Html): Promise<void> {
  response.writeHead(status, headers).end(String(await body));
}

async function readForm(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1');
    if (text.length > maxFormBytes) throw new Error('form too long');
  }
  return text;
}

async function show(context: PageContext, title: string, content: Html): Promise<void> {
  for (const [name, value] of Object.entries(headers)) context.set(name, value);
  context.body = String(await page(title, content));
}

/** `form` is made by oidc-provider, with its token against cross-site requests; values in it are escaped there. */
export const devicePages = {
  userCodeInputSource: (context: PageContext, form: string, _out: unknown, error?: Error) =>
    show(
      context,
      'Enter the code',
      html`<p>${error === undefined ? 'The terminal shows it.' : 'That is not a code that is waiting. Look again.'}</p>
      ${raw(form)}<p><button form="op.deviceInputForm">Go on</button></p>`,
    ),
  userCodeConfirmSource: (context: PageContext, form: string, _client: unknown, _device: unknown, code: string) =>
    show(
      context,
      'Is this your code?',
      html`<p><code>${code}</code></p><p>Go on only if your own terminal shows it.</p>
      ${raw(form)}
      <p><button form="op.deviceConfirmForm">Go on</button>
      <button form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button></p>`,
    ),
  successSource: (context: PageContext) =>
    show(context, 'Signed in', html`<p>Go on in the terminal. This page may be closed.</p>`),
};

/** What went wrong, for a browser that cannot be sent back. */
export const showError = (context: PageContext, out: { readonly error: string; readonly error_description?: string }) =>
  show(
    context,
    'That did not work',
    html`<p>${out.error}${out.error_description ? `: ${out.error_description}` : ''}</p>`,
  );

/** The CLI is the provider's own client: whoever signs in has agreed. Other clients have no people. */
export const grantFor =
  (provider: () => Provider, resource: string) =>
  async ({ oidc }: { readonly oidc: GrantRequest }): Promise<object | undefined> => {
    if (oidc.client.clientId !== peopleClient) return undefined;
    const grant = new (provider().Grant)({ accountId: oidc.session.accountId, clientId: peopleClient });
    grant.addOIDCScope([...oidc.requestParamScopes].join(' '));
    grant.addResourceScope(resource, '');
    await grant.save();
    return grant;
  };

interface GrantRequest {
  readonly client: { readonly clientId: string };
  readonly session: { readonly accountId: string };
  readonly requestParamScopes: ReadonlySet<string>;
}
