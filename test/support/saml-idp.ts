/**
 * A SAML identity provider over HTTP, on samlify: real metadata, real requests, really signed and encrypted answers. Nobody has
 * to type a password: whoever `signedIn` names is signed in. With an EC key it signs by xml-crypto: samlify knows RSA only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inflateRawSync } from 'node:zlib';
import samlify from 'samlify';
import { type Certificate, createAuthority } from '../e2e/support/certificates.ts';
import { factsFor, type MessageFacts, persistent, sign, toBase64, writeAssertion, writeResponse } from './saml-xml.ts';

export interface SamlPerson {
  readonly nameId: string;
  /** Default persistent. */
  readonly nameIdFormat?: string;
  /** By name; default none. */
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
}

export interface SamlIdpOptions {
  /** By the name that `signedIn` has. */
  readonly people: Readonly<Record<string, SamlPerson>>;
  /** Default `rsa`. */
  readonly key?: 'rsa' | 'ec';
  /** What it signs. Default `both`. */
  readonly signs?: 'assertion' | 'both';
  /** Encrypts assertions for the certificate in the metadata of whom they are for: AES-CBC, in a signed response. Default false. */
  readonly encrypts?: boolean;
  /** Metadata of a service provider by entityID. Default: fetched, the entityID being its address. */
  readonly serviceProvider?: (entityId: string) => Promise<string>;
  /** Epoch milliseconds. Default: the clock. */
  readonly now?: () => number;
}

export interface SamlIdp {
  readonly entityId: string;
  readonly metadataUrl: string;
  /** As it is served. */
  metadata(): string;
  /** Whom the next sign-in is of; empty: nobody, and the IdP answers that. */
  signedIn: string;
  /** IDs of the requests that came. */
  readonly requests: string[];
  /** `SAMLResponse` (base64) of a person for a service provider, in answer to its request. */
  respond(person: string, to: { readonly spMetadata: string; readonly requestId: string }): Promise<string>;
  /** An assertion for RFC 7522 (base64url). */
  assertion(person: string, to: { readonly audience: string; readonly recipient: string }): string;
  /** Signs with a new key from now on, which the metadata has, too. */
  rotate(): void;
  close(): Promise<void>;
}

const { Constants, IdentityProvider, ServiceProvider, setSchemaValidator } = samlify;
// samlify asks for a validator of XML schemas; what it parses here is what we have written.
setSchemaValidator({ validate: async () => 'skipped' });
const certificates = createAuthority('Test CA of the IdP');
const noAuthn = 'urn:oasis:names:tc:SAML:2.0:status:AuthnFailed';

export async function startSamlIdp(options: SamlIdpOptions): Promise<SamlIdp> {
  const server = createServer((req, res) => {
    serve(req, res).catch((error: unknown) => res.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const entityId = `${base}/metadata`;
  const keys: Certificate[] = [];
  const newKey = () => keys.unshift(certificates.issue('idp.test', {}, options.key ?? 'rsa'));
  newKey();
  const now = options.now ?? Date.now;
  const signer = (): Certificate => keys[0] as Certificate;

  const entity = (signingCert: string | string[] = signer().cert) =>
    IdentityProvider({
      entityID: entityId,
      privateKey: signer().key,
      signingCert,
      nameIDFormat: [persistent],
      isAssertionEncrypted: options.encrypts ?? false,
      requestSignatureAlgorithm: Constants.algorithms.signature.RSA_SHA256,
      singleSignOnService: [{ Binding: Constants.namespace.binding.redirect, Location: `${base}/sso` }],
      // Without one samlify complains on the console. It is not there.
      singleLogoutService: [{ Binding: Constants.namespace.binding.redirect, Location: `${base}/slo` }],
    });
  const factsOf = (name: string, to: Pick<MessageFacts, 'audience' | 'recipient'>, inResponseTo: string) => {
    const person = options.people[name];
    return factsFor({
      ...to,
      issuer: entityId,
      inResponseTo,
      nowMs: now(),
      ...(person === undefined ? { status: noAuthn } : person),
      nameIdFormat: person?.nameIdFormat ?? persistent,
      attributes: person?.attributes ?? {},
    });
  };

  const respond: SamlIdp['respond'] = async (name, { spMetadata, requestId }) => {
    const both = (options.signs ?? 'both') === 'both';
    const sp = ServiceProvider({ metadata: spMetadata, wantMessageSigned: both });
    const recipient = sp.entityMeta.getAssertionConsumerService('post');
    const facts = factsOf(name, { audience: sp.entityMeta.getEntityID(), recipient: String(recipient) }, requestId);
    if (options.people[name] === undefined) return toBase64(writeResponse(facts, ''));
    if (options.key === 'ec') {
      const xml = writeResponse(facts, sign(writeAssertion(facts), facts.assertionId, signer()));
      return toBase64(both ? sign(xml, facts.responseId, signer()) : xml);
    }
    const customTagReplacement = () => ({ id: facts.responseId, context: writeResponse(facts) });
    const answer = await entity().createLoginResponse(
      sp,
      { extract: {} },
      'post',
      {},
      { customTagReplacement, encryptThenSign: true },
    );
    return String(answer.context);
  };

  const sso = async (url: URL, res: ServerResponse): Promise<void> => {
    const query = Object.fromEntries(url.searchParams);
    const issuer = issuerOfRequest(query);
    const spMetadata = await (options.serviceProvider ?? fetchText)(issuer);
    const sp = ServiceProvider({ metadata: spMetadata });
    const { extract } = await entity().parseLoginRequest(sp, 'redirect', { query });
    const requestId = String(extract.request?.['id']);
    idp.requests.push(requestId);
    const fields = {
      SAMLResponse: await respond(idp.signedIn, { spMetadata, requestId }),
      ...(query['RelayState'] === undefined ? {} : { RelayState: query['RelayState'] }),
    };
    const action = String(sp.entityMeta.getAssertionConsumerService('post'));
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(formOf(action, fields));
  };
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const url = new URL(req.url ?? '/', base);
    if (url.pathname === '/sso') return sso(url, res);
    if (url.pathname !== '/metadata') return void res.writeHead(404).end();
    res.writeHead(200, { 'content-type': 'application/samlmetadata+xml' }).end(idp.metadata());
  };

  const idp: SamlIdp = {
    entityId,
    metadataUrl: entityId,
    metadata: () => entity(keys.map((key) => key.cert)).getMetadata(),
    signedIn: Object.keys(options.people)[0] ?? '',
    requests: [],
    respond,
    assertion(name, to) {
      const facts = factsOf(name, to, '');
      return Buffer.from(sign(writeAssertion(facts), facts.assertionId, signer())).toString('base64url');
    },
    rotate: () => void newKey(),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return idp;
}

/** samlify wants to know the service provider before it reads its request: from whom it is, is read here. */
function issuerOfRequest(query: Readonly<Record<string, string>>): string {
  const xml = inflateRawSync(Buffer.from(query['SAMLRequest'] ?? '', 'base64')).toString('utf8');
  return /<(?:\w+:)?Issuer[^>]*>([^<]+)</.exec(xml)?.[1] ?? '';
}

async function fetchText(url: string): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.text();
}

const html = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** HTTP-POST binding (bindings §3.5.4): a form that sends itself. */
const formOf = (action: string, fields: Readonly<Record<string, string>>): string =>
  `<!DOCTYPE html><html><body onload="document.forms[0].submit()"><form method="post" action="${html(action)}">${Object.entries(
    fields,
  )
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${html(value)}">`)
    .join('')}<noscript><button>Continue</button></noscript></form></body></html>`;

/** What a browser would send for that page. */
export function readForm(page: string): { readonly action: string; readonly fields: URLSearchParams } {
  const text = (value: string) =>
    value.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  const action = /<form method="post" action="([^"]*)"/.exec(page)?.[1];
  if (action === undefined) throw new Error(`there is no form in ${page.slice(0, 300)}`);
  const fields = new URLSearchParams();
  for (const [, name = '', value = ''] of page.matchAll(
    /<input type="hidden" name="([^"]*)" value="([^"]*)"(?: \/)?>/g,
  ))
    fields.set(name, text(value));
  return { action: text(action), fields };
}

/** Goes to the IdP as a browser does, and back with its form. Redirects of the answer are left to the caller. */
export async function signInByBrowser(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const page = await fetch(url);
  const { action, fields } = readForm(await page.text());
  return fetch(action, { method: 'POST', body: fields, headers, redirect: 'manual' });
}
