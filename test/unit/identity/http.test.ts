import type { LookupAddress } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHttp, type HttpOptions, HttpProblem, isInside } from '../../../src/identity/http.ts';
import { createAuthority } from '../../e2e/support/certificates.ts';

const authority = createAuthority('test CA');
const certificate = authority.issue('keys.test', { dns: ['keys.test', 'localhost.test'] });
/** A network for documentation (RFC 5737): public as far as we know, and nobody is there. */
const nobody = { address: '203.0.113.7', family: 4 };
const here = { address: '127.0.0.1', family: 4 };

let servers: Server[] = [];
let requests: string[] = [];
let answer: RequestListener;

beforeEach(() => {
  requests = [];
  answer = (_req, res) => res.end('hello');
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  servers = [];
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('request', (req, res) => {
    requests.push(req.url ?? '');
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const plain = () => listen(createServer());
const tls = () => listen(createTlsServer(certificate) as unknown as Server);

/** Answers each question with the next of these; the last one stays. */
function lookupOf(...answers: readonly LookupAddress[][]): NonNullable<HttpOptions['lookup']> {
  let asked = 0;
  return (_host, _options, done) => done(null, answers[Math.min(asked++, answers.length - 1)] ?? []);
}

const bounds = { timeoutMs: 1000, maxBytes: 1000 };
const problemOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'no problem',
    (error: unknown) => (error instanceof HttpProblem ? error.message : `not ours: ${String(error)}`),
  );

describe('an address that is inside', () => {
  test.each([
    ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
    ...['169.254.169.254', '100.64.0.1', '192.0.0.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', 'fe80::1', 'fe80::1%2', 'fec0::1', 'fd00:ec2::254', 'fc00::1', 'ff02::1'],
    ...['::ffff:10.0.0.1', '::ffff:a9fe:a9fe', '::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::1'],
    ...['2002:7f00:1::', '2001:0:53aa:64c:0:fbff:80ff:fffe'],
  ])('is %s', (address) => {
    expect(isInside(address)).toBe(true);
  });

  test.each(['', 'example.com', '127.1', '0x7f.0.0.1', '1.2.3.4.5', '[::1]'])(
    'is also what is no address: "%s"',
    (address) => {
      expect(isInside(address)).toBe(true);
    },
  );

  test.each(['8.8.8.8', '172.15.255.255', '172.32.0.1', '100.128.0.1', '::ffff:8.8.8.8', '2606:4700::1111', '2a00::1'])(
    'is not %s',
    (address) => {
      expect(isInside(address)).toBe(false);
    },
  );
});

describe('a host that the operator did not write down', () => {
  test.each<[string, (port: number) => string]>([
    ['an address', (port) => `https://127.0.0.1:${port}/`],
    ['an address in hex', (port) => `https://0x7f000001:${port}/`],
    ['an address as one number', (port) => `https://2130706433:${port}/`],
    ['an address in octal', (port) => `https://017700000001:${port}/`],
    ['a short address', (port) => `https://127.1:${port}/`],
    ['an address in full width digits', (port) => `https://１２７.0.0.1:${port}/`],
    ['an address with a dot at its end', (port) => `https://127.0.0.1.:${port}/`],
    ['an IPv6 address', (port) => `https://[::1]:${port}/`],
    ['an IPv4 address in an IPv6 one', (port) => `https://[::ffff:127.0.0.1]:${port}/`],
    ['the unspecified address', (port) => `https://0.0.0.0:${port}/`],
    ['a loopback address in the clear', (port) => `http://127.0.0.1:${port}/`],
  ])('is not asked on this machine: %s', async (_what, urlAt) => {
    const http = createHttp({ trustedHosts: ['id.example.com'], ca: authority.cert });
    expect(await problemOf(http(urlAt(await tls()), bounds))).toBe('the address is of a private network');
    expect(requests).toEqual([]);
  });

  test.each([
    ['this machine', [here]],
    ['a private network', [{ address: '10.1.2.3', family: 4 }]],
    ['the metadata of the cloud', [{ address: '169.254.169.254', family: 4 }]],
    ['this machine by IPv6', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['one of several addresses that is inside', [nobody, here]],
  ])('is not asked when its name leads to %s', async (_what, addresses) => {
    const http = createHttp({ trustedHosts: [], ca: authority.cert, lookup: lookupOf(addresses) });
    expect(await problemOf(http(`https://keys.test:${await tls()}/`, bounds))).toBe(
      'the name leads to an address of a private network',
    );
    expect(requests).toEqual([]);
  });

  test('is not asked when its name is rebound to this machine after it was found outside', async () => {
    const http = createHttp({ trustedHosts: [], ca: authority.cert, lookup: lookupOf([nobody], [here]) });
    const url = `https://keys.test:${await tls()}/`;
    expect(await problemOf(http(url, { ...bounds, timeoutMs: 100 }))).toMatch(/no answer within|cannot be reached/);
    expect(await problemOf(http(url, bounds))).toBe('the name leads to an address of a private network');
    expect(requests).toEqual([]);
  });

  test('is asked on private networks when the operator allows it', async () => {
    const options = { trustedHosts: [], ca: authority.cert, allowPrivateAddresses: true };
    const http = createHttp({ ...options, lookup: lookupOf([here]) });
    expect(await http(`https://keys.test:${await tls()}/`, bounds)).toMatchObject({ status: 200, text: 'hello' });
  });

  test.each(['http://keys.test/', 'ftp://keys.test/', 'file:///etc/passwd', 'https://u:p@keys.test/', 'nonsense'])(
    'is not asked by %s',
    async (url) => {
      const http = createHttp({ trustedHosts: ['keys.test'], lookup: lookupOf([here]) });
      expect(await problemOf(http(url, bounds))).toBe('the address is not an https URL');
    },
  );
});

describe('a host that the operator wrote down', () => {
  test('is asked wherever it is, in any case of its name', async () => {
    const http = createHttp({ trustedHosts: ['KEYS.test'], ca: authority.cert, lookup: lookupOf([here]) });
    expect((await http(`https://Keys.Test:${await tls()}/a`, bounds)).status).toBe(200);
    expect(requests).toEqual(['/a']);
  });

  test('must have a certificate of the CA that was named, or of the system', async () => {
    const url = `https://keys.test:${await tls()}/`;
    const options = { trustedHosts: ['keys.test'], lookup: lookupOf([here]) };
    expect(await problemOf(createHttp(options)(url, bounds))).toMatch(/^it cannot be reached \([A-Z_]+\)$/);
    const another = createHttp({ ...options, ca: createAuthority('another').cert });
    expect(await problemOf(another(url, bounds))).toMatch(/^it cannot be reached \([A-Z_]+\)$/);
    expect(requests).toEqual([]);
  });

  test('must have its own name in the certificate', async () => {
    const http = createHttp({ trustedHosts: ['other.test'], ca: authority.cert, lookup: lookupOf([here]) });
    expect(await problemOf(http(`https://other.test:${await tls()}/`, bounds))).toBe(
      'it cannot be reached (ERR_TLS_CERT_ALTNAME_INVALID)',
    );
  });

  test('whose name has no address, or that nobody listens at, cannot be reached', async () => {
    const none = createHttp({ trustedHosts: ['keys.test'], lookup: lookupOf([]) });
    expect(await problemOf(none('https://keys.test/', bounds))).toMatch(/cannot be reached|has no address/);
    const port = await plain();
    const [server] = servers.splice(0);
    await new Promise((resolve) => server!.close(resolve));
    const http = createHttp({ trustedHosts: ['127.0.0.1'] });
    expect(await problemOf(http(`http://127.0.0.1:${port}/`, bounds))).toBe('it cannot be reached (ECONNREFUSED)');
  });
});

describe('an answer', () => {
  const http = createHttp({ trustedHosts: ['127.0.0.1'] });
  const ask = async (path: string, limits = bounds) => http(`http://127.0.0.1:${await plain()}${path}`, limits);

  test('of any status is an answer, with its headers; a redirect is not followed', async () => {
    answer = (_req, res) => res.writeHead(302, { location: '/elsewhere', 'X-Twice': ['a', 'b'] }).end('moved');
    const found = await ask('/start');
    expect(found).toMatchObject({ status: 302, text: 'moved' });
    expect([found.header('location'), found.header('x-twice'), found.header('none')]).toEqual([
      '/elsewhere',
      'a',
      undefined,
    ]);
    expect(requests).toEqual(['/start']);
  });

  test('of the longest length is read, and a byte more is not', async () => {
    answer = (_req, res) => res.end('x'.repeat(1000));
    expect((await ask('/')).text).toHaveLength(1000);
    answer = (_req, res) => res.end('x'.repeat(1001));
    expect(await problemOf(ask('/'))).toBe('the answer is longer than 1000 bytes');
  });

  test('without end is cut off at the longest length', async () => {
    answer = (req, res) => {
      const more = () => {
        while (!req.socket.destroyed && res.write('x'.repeat(10_000)));
        if (!req.socket.destroyed) res.once('drain', more);
      };
      more();
    };
    expect(await problemOf(ask('/'))).toBe('the answer is longer than 1000 bytes');
  });

  test.each<[string, RequestListener]>([
    ['that does not come', () => {}],
    ['whose body stops', (_req, res) => res.writeHead(200).write('{"keys":[')],
  ])('%s is given up in time', async (_what, slow) => {
    answer = slow;
    expect(await problemOf(ask('/', { timeoutMs: 100, maxBytes: 1000 }))).toBe('no answer within 100 ms');
  });

  test('that drips is given up in time, however often a byte comes', async () => {
    answer = (req, res) => {
      res.writeHead(200);
      const timer = setInterval(() => res.write(' '), 10);
      req.socket.once('close', () => clearInterval(timer));
    };
    expect(await problemOf(ask('/', { timeoutMs: 150, maxBytes: 1000 }))).toBe('no answer within 150 ms');
  });

  test('that is compressed against our wish is not unpacked', async () => {
    let wanted: string | undefined = '';
    answer = (req, res) => {
      wanted = req.headers['accept-encoding'];
      res.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from([0x1f, 0x8b, 8, 0]));
    };
    expect((await ask('/')).text).not.toBe('');
    expect(wanted).toBeUndefined();
  });

  test('to a POST with a body and headers is an answer, too', async () => {
    answer = (req, res) => {
      req.pipe(res.writeHead(201, { 'x-method': req.method, 'x-token': req.headers.authorization }));
    };
    const port = await plain();
    const found = await http(`http://127.0.0.1:${port}/`, {
      ...bounds,
      method: 'POST',
      headers: { authorization: 'Bearer t' },
      body: 'a=b',
    });
    expect([found.status, found.text, found.header('x-method'), found.header('x-token')]).toEqual([
      201,
      'a=b',
      'POST',
      'Bearer t',
    ]);
  });
});
