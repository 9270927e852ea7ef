/** The loopback address that ends a sign-in in the browser (RFC 8252, section 7.3). */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliError, exitCodes } from '../cli.ts';
import { type Ending, pageOf } from './page.ts';

export interface Answer {
  /** The redirect URI with the parameters that came. */
  readonly url: URL;
  /** Shows the browser how it ended. */
  show(ending: Ending): Promise<void>;
}

export interface Redirect {
  /** What the provider is told as `redirect_uri`. */
  readonly uri: string;
  /** The first answer with the `state` of this sign-in. What has another is refused, and waited on; what comes later, too. */
  readonly answer: Promise<Answer>;
  close(): Promise<void>;
}

/** A browser takes either address for `localhost`: at the other one, somebody else could wait for the code. */
const addresses: Readonly<Record<string, readonly string[]>> = {
  '127.0.0.1': ['127.0.0.1'],
  '[::1]': ['::1'],
  localhost: ['127.0.0.1', '::1'],
};

/**
 * Listens on the loopback. Throws CliError where `uri` is not on this machine, or its port is taken.
 * @param state what an answer to this sign-in has (RFC 6749, section 10.12)
 * @param uri port 0, or none, takes any free one
 */
export async function listenForRedirect(state: string, uri = 'http://127.0.0.1/callback'): Promise<Redirect> {
  const wanted = URL.parse(uri);
  if (
    wanted === null ||
    wanted.protocol !== 'http:' ||
    !Object.hasOwn(addresses, wanted.hostname) ||
    wanted.search ||
    wanted.hash
  )
    throw new CliError(
      exitCodes.usage,
      `${uri} is no address on this machine.`,
      'It must be http://127.0.0.1, http://[::1] or http://localhost, with or without port and path.',
    );
  const { promise: answer, resolve } = Promise.withResolvers<Answer>();
  let isAnswered = false;
  const handle: RequestListener = (request, response) => {
    const url = answeredUrl(request, redirect);
    if (url === undefined) return void response.writeHead(404, { connection: 'close' }).end();
    if (request.headers.host !== new URL(redirect).host)
      return void response.writeHead(421, { connection: 'close' }).end();
    const show = (ending: Ending) => send(response, ending);
    // Any program, and any page, can send something here: that must not end the sign-in.
    const states = url.searchParams.getAll('state');
    if (states.length !== 1 || states[0] !== state) return void show(foreign);
    if (isAnswered) return void show(tooLate);
    isAnswered = true;
    resolve({ url, show });
  };
  const servers = await listenAt(wanted, handle);
  wanted.port = String(portOf(servers));
  const redirect = wanted.href;
  return {
    uri: redirect,
    answer,
    close: () => closeAll(servers),
  };
}

const portOf = ([server]: readonly Server[]): number => (server?.address() as AddressInfo | undefined)?.port ?? 0;

/** One server for each address of the host, all on one port. Throws CliError. */
async function listenAt({ hostname, port }: URL, handle: RequestListener): Promise<Server[]> {
  const servers: Server[] = [];
  for (const address of addresses[hostname] ?? []) {
    const wanted = servers.length > 0 ? portOf(servers) : Number(port);
    const server = createServer(handle).listen(wanted, address);
    try {
      await once(server, 'listening');
      servers.push(server);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      // A machine without IPv6: nobody can wait there.
      if (servers.length > 0 && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(code)) continue;
      await closeAll(servers);
      throw new CliError(
        exitCodes.failed,
        `Port ${wanted}, where the browser was to answer, cannot be used at ${address} (${code}).`,
        'Stop what uses it, or leave --redirect-uri out: then any free port will do.',
        error,
      );
    }
  }
  return servers;
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  const closing = servers.map(async (server) => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
  await Promise.all(closing);
}

const foreign: Ending = {
  ok: false,
  title: 'Not this sign-in',
  text: 'This is the end of another sign-in, an old one perhaps. Use the page that `sallyport login` opened, or the address that it printed.',
};
const tooLate: Ending = { ok: false, title: 'Too late', text: 'This sign-in has been answered already.' };

/** The whole URL of a request to the redirect URI that answers a sign-in, `state` being what every answer has. */
function answeredUrl(request: IncomingMessage, redirect: string): URL | undefined {
  const url = URL.parse(request.url ?? '', redirect);
  const isOurs = request.method === 'GET' && url?.pathname === new URL(redirect).pathname;
  return isOurs && url.origin === new URL(redirect).origin && url.searchParams.has('state') ? url : undefined;
}

async function send(response: ServerResponse, ending: Ending): Promise<void> {
  const { status, headers, body } = await pageOf(ending);
  if (response.destroyed) return;
  response.writeHead(status, { ...headers });
  await new Promise<void>((resolve) => {
    response.once('close', resolve);
    response.end(body);
  });
}
