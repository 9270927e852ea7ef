import { Hono } from 'hono';
import { html } from 'hono/html';
import { secureHeaders } from 'hono/secure-headers';

/** What the public listener says about itself. */
export interface PublicSources {
  readonly version: string;
  /** Where callers reach this gateway's console and API, such as `https://sallyport.example`. */
  readonly publicUrl: string;
}

const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/** The app of the public listener: says what this is, and has the routes of its parts (OAuth, say); every other path is 404. */
export function createPublicApp(sources: PublicSources, ...parts: readonly Hono[]): Hono {
  const app = new Hono();
  app.use(
    secureHeaders({
      xFrameOptions: 'DENY',
      referrerPolicy: 'no-referrer',
    }),
  );
  app.use(async (c, next) => {
    await next();
    // A page that has its own, which also says where its form may lead, keeps it.
    if (!c.res.headers.has('content-security-policy')) c.header('content-security-policy', policy);
  });
  app.get('/', (c) => {
    c.header('cache-control', 'no-store');
    const wantsPage = (c.req.header('accept') ?? '').includes('text/html');
    return wantsPage
      ? c.html(page(sources))
      : c.json({ name: 'sallyport', version: sources.version, publicUrl: sources.publicUrl });
  });
  for (const part of parts) app.route('/', part);
  app.notFound((c) => c.json({ error: 'Not found. Models are called through Envoy, not here.' }, 404));
  app.onError((error, c) => c.json({ error: `The gateway failed to answer (${error.name}).` }, 500));
  return app;
}

const page = ({ version, publicUrl }: PublicSources) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Sallyport</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
      code { font-family: ui-monospace, monospace; }
    </style>
  </head>
  <body>
    <h1>Sallyport</h1>
    <p>The enforcement point in front of self-hosted AI models: who may call which model is decided here, what is
      sensitive is masked here, and every request is on the record.</p>
    <p>This is <code>${publicUrl}</code>, version ${version}. Models are called through Envoy, not at this address.</p>
  </body>
</html>`;
