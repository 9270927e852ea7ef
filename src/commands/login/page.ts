import { html } from 'hono/html';

/** What the browser is shown at the end of a sign-in. Texts only: no token and no code is ever put into it. */
export interface Ending {
  readonly ok: boolean;
  readonly title: string;
  readonly text: string;
}

/** The page as a response: not kept, not framed, without scripts; texts are escaped. */
export async function pageOf({ ok, title, text }: Ending): Promise<{ status: number; headers: object; body: string }> {
  const body = await html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Sallyport: ${title}</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem; }
    </style>
  </head>
  <body>
    <h1>${title}</h1>
    <p>${text}</p>
    <p>This page may be closed.</p>
  </body>
</html>
`;
  return {
    status: ok ? 200 : 400,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      connection: 'close',
    },
    body: String(body),
  };
}
